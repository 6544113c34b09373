//! Links only when no device crate needs an allocator: there is none.

#![no_std]
#![no_main]

mod calls;

use core::panic::PanicInfo;

/// Where the linker starts to look for what is reachable.
// SAFETY: no other symbol of this program is called `_start`, and nothing runs it: it is only linked.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    #[cfg(feature = "manifest")]
    calls::manifest();
    #[cfg(feature = "verify")]
    calls::verify();
    #[cfg(feature = "hash")]
    calls::hash();
    #[cfg(feature = "lms")]
    calls::lms();
    #[cfg(feature = "documents")]
    calls::documents();
    #[cfg(feature = "proof")]
    calls::proof(core::hint::black_box(&mut [0; ota_slots::WORK_BUFFER]));
    #[cfg(feature = "boot")]
    calls::boot(core::hint::black_box(&mut [0; ota_slots::WORK_BUFFER]));
    #[cfg(feature = "boot-moving")]
    calls::boot_moving(core::hint::black_box(&mut [0; ota_slots::WORK_BUFFER]));
    #[cfg(feature = "agent-machine")]
    calls::agent_machine();
    #[cfg(feature = "agent")]
    calls::agent();
    #[cfg(feature = "agent-async")]
    calls::agent_async();
    #[cfg(feature = "self-test")]
    let _ = core::hint::black_box(calls::self_test());
    #[cfg(feature = "stream")]
    calls::stream();
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

//! Bootloader for the nRF52840: what runs next is what proves itself from flash, during this very boot.
//!
//! ```text
//!   reset -> feed the watchdog -> read and clear the reset reason -> start the watchdog
//!         -> read the guard region: floor, adopted keys
//!         -> decide: prove a slot, write it down          -- nothing proves itself: blink, wait, decide again
//!         -> raise the floor, mend and adopt trust documents
//!         -> lock bootloader, guard region and kept trust -> jump
//! ```
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod board;
mod jump;
#[cfg_attr(not(feature = "documents"), path = "pinned.rs")]
mod trust;

use core::panic::PanicInfo;

use board::Board;
use cortex_m_rt::entry;
use layout::{ALGORITHM_SET, BOOTLOADER_VERSION, KEYS, KEYS_DIGEST, LAYOUT};
use ota_slots::{BootDescriptor, Machine, Policy, run_blocking};
use ota_verify::{Identity, Trust};
use small_mem as _;
use trust::{Documents, NO_DOCUMENTS};

/// The application compares it with what it was built for.
#[used]
#[expect(
    unsafe_code,
    reason = "a section of this name is in no other program, and holds nothing that is executed"
)]
#[unsafe(link_section = ".boot_descriptor")]
static DESCRIPTOR: BootDescriptor =
    BootDescriptor::new(BOOTLOADER_VERSION, ALGORITHM_SET, &LAYOUT, KEYS_DIGEST);

/// What every piece of work needs.
struct Bench {
    board: Board,
    buffer: &'static mut [u8; LAYOUT.work_buffer()],
}

/// What no stack has to hold; in whole words, which are copied four times as fast.
#[repr(C, align(4))]
struct Memory {
    buffer: [u8; LAYOUT.work_buffer()],
    documents: Documents,
}

impl Bench {
    fn run<M: Machine>(&mut self, machine: M) -> M::Output {
        let (flash, watchdog) = (&mut self.board.flash, &mut self.board.watchdog);
        run_blocking(machine, flash, &LAYOUT, self.buffer, || watchdog.pet())
    }
}

#[entry]
fn main() -> ! {
    let board = Board::start();
    let memory = cortex_m::singleton!(: Memory = Memory {
        buffer: [0; LAYOUT.work_buffer()],
        documents: NO_DOCUMENTS,
    });
    let Some(Memory { buffer, documents }) = memory else { reset() };
    let pinned = Policy {
        trust: Trust::pinned(&KEYS),
        identity: Identity {
            vendor: layout::VENDOR,
            class: layout::CLASS,
            hardware: layout::HARDWARE,
            device: layout::device_id(board::serial_number()),
        },
        descriptor: &DESCRIPTOR,
    };
    let mut bench = Bench { board, buffer };
    loop {
        if let Some(address) = trust::boot(&mut bench, documents, &pinned) {
            bench.board.lock(layout::BOOTLOADER);
            jump::to(address)
        }
        bench.board.wait_for_help();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    reset()
}

fn reset() -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

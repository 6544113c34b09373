//! The way out of the bootloader.

/// Starts the application whose vector table is at `address`.
#[expect(unsafe_code, reason = "nothing safe leaves a program for another")]
pub(crate) fn to(address: u32) -> ! {
    let scb = cortex_m::peripheral::SCB::PTR;
    // SAFETY: `address` comes from `Handover::lock`: the image there was proven during this boot, with a signature of its
    // maker, and linked for this address, which a slot's layout aligns to a page and so to the 512 bytes that VTOR wants.
    // Its first two words are therefore a stack in RAM and a Thumb entry point. No interrupt was enabled and no DMA
    // started, so nothing of this program's is used again; its memory is the application's from here.
    unsafe {
        (*scb).vtor.write(address);
        cortex_m::asm::bootload(address as *const u32)
    }
}

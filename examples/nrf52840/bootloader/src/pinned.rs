//! Booting under the keys that the bootloader was built with.

use layout::LAYOUT;
use ota_slots::{Boot, Guard, Policy};

use crate::Bench;

pub(crate) type Documents = ();
pub(crate) const NO_DOCUMENTS: Documents = ();

/// Decides what runs. Where to jump to; `None` if nothing proves itself.
pub(crate) fn boot(bench: &mut Bench, (): &mut Documents, policy: &Policy<'_>) -> Option<u32> {
    let mut guard = bench.run(Guard::read(&LAYOUT));
    let decision = Boot::new(&LAYOUT, policy, bench.board.cause).with_guard(&guard);
    let handover = bench.run(decision).ok()?;
    // If the flash refuses, the next boot tries again: no reason not to run.
    let _ = bench.run(guard.note(&LAYOUT, &handover));
    Some(handover.lock(&LAYOUT, |region| bench.board.lock(region)))
}

//! Booting under keys that can be replaced.

use layout::{ALGORITHMS, LAYOUT};
use ota_manifest::Frame;
use ota_slots::{Adopt, Boot, Guard, Handover, Policy};
use ota_verify::{AuthenticTrust, Trust};

use crate::Bench;

/// A document's envelope.
type Document = [u8; LAYOUT.trust_limit()];

/// The one that was kept, and the one in the inbox.
pub(crate) type Documents = [Document; 2];
pub(crate) const NO_DOCUMENTS: Documents = [[0; LAYOUT.trust_limit()]; 2];

/// Decides what runs, under the trust that was adopted last, and adopts what follows it. Where to jump to; `None` if nothing
/// proves itself.
pub(crate) fn boot(bench: &mut Bench, memory: &mut Documents, pinned: &Policy<'_>) -> Option<u32> {
    let [kept, inbox] = memory;
    let mut guard = bench.run(Guard::read(&LAYOUT));
    // Too little memory would be an error here, and never a return to keys that may have been withdrawn.
    let len = bench.run(guard.read_trust(kept, &LAYOUT).ok()?).unwrap_or(0);
    let kept = kept.get(..len)?;
    let adopted = Frame::parse(kept)
        .map(|frame| AuthenticTrust::from_guard_unchained(frame, &pinned.trust, ALGORITHMS));
    let adopted = adopted.as_ref().ok().and_then(|adopted| adopted.as_ref().ok());
    let policy = Policy { trust: adopted.map_or(pinned.trust, Trust::documented), ..*pinned };
    let decision = Boot::new(&LAYOUT, &policy, bench.board.cause).with_guard(&guard);
    let handover = bench.run(decision).ok()?;
    // Whatever of this the flash refuses, the next boot tries again: no reason not to run.
    let _ = bench.run(guard.note(&LAYOUT, &handover));
    let _ = bench.run(guard.mend_trust(&LAYOUT, kept));
    // Read again where a bit was programmed by half.
    let _ = (0..3).find_map(|_| adopt(bench, &mut guard, &handover, &policy, inbox));
    Some(handover.lock(&LAYOUT, |region| bench.board.lock(region)))
}

/// Adopts what is in the inbox. `None` if nothing is there that follows the trust in force.
// Of its own frame, small enough for short instructions.
#[inline(never)]
fn adopt(
    bench: &mut Bench,
    guard: &mut Guard,
    handover: &Handover,
    policy: &Policy<'_>,
    memory: &mut Document,
) -> Option<()> {
    let len = bench.run(guard.read_inbox(memory, &LAYOUT, &policy.trust).ok()?)?;
    let envelope = memory.get(..len)?;
    let successor = policy.trust.successor(Frame::parse(envelope).ok()?, ALGORITHMS);
    let successor = successor.as_ref().ok()?;
    let next = Policy { trust: Trust::documented(successor), ..*policy };
    // Proves the running image under the new keys first; not on a trial.
    if let Ok(adopt) = Adopt::new(&LAYOUT, guard, handover, &next, (successor, envelope)) {
        let _ = bench.run(adopt);
    }
    Some(())
}

//! The simulated bootloader: decides what runs, under the trust that is in force, and adopts what follows it.

use anyhow::{Context, Result};
use ota_manifest::{Frame, ResetCause};
use ota_slots::{Adopt, Boot, Guard, Handover, Machine, Policy, TrustMemoryError, run_blocking};
use ota_verify::{AuthenticTrust, Ed25519, KeyAlgorithm, Lms, P256, Trust};

use crate::FlashFile;
use crate::board::LAYOUT;

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519, &P256, &Lms];

/// Memory for the envelope of a trust document.
pub(crate) type TrustMemory = [u8; LAYOUT.trust_limit()];

/// Boots under the trust that was adopted last, and adopts the document in the inbox for the next boot and for the
/// application. A board would then write-protect guard and kept trust ([`Handover::lock`]).
///
/// # Errors
/// If no slot holds an image that may run.
pub(crate) fn boot(flash: &mut FlashFile, pinned: &Policy<'_>, cause: ResetCause) -> Result<Handover> {
    let mut memory = [0; LAYOUT.trust_limit()];
    let mut guard = run(flash, Guard::read(&LAYOUT));
    let kept = kept(flash, &guard, &mut memory)?;
    let adopted = adopted(kept, pinned);
    let policy = under(pinned, adopted.as_ref());
    let boot = Boot::new(&LAYOUT, &policy, cause).with_guard(&guard);
    let handover = run(flash, boot).context("no slot holds an image that may run")?;
    // None of the rest keeps anything from running; the next boot tries again.
    let _ = run(flash, guard.note(&LAYOUT, &handover));
    let _ = run(flash, guard.mend_trust(&LAYOUT, kept));
    adopt(flash, &mut guard, &handover, &policy)?;
    Ok(handover)
}

/// Adopts what is in the inbox, if it follows the trust of `policy` and this is the time.
fn adopt(
    flash: &mut FlashFile,
    guard: &mut Guard,
    handover: &Handover,
    policy: &Policy<'_>,
) -> Result<(), TrustMemoryError> {
    let mut inbox: TrustMemory = [0; LAYOUT.trust_limit()];
    // Read again where a bit was programmed by half.
    for _ in 0..3 {
        let len = run(flash, guard.read_inbox(&mut inbox, &LAYOUT, &policy.trust)?);
        let envelope = inbox.get(..len.unwrap_or(0)).unwrap_or_default();
        if let Ok(frame) = Frame::parse(envelope)
            && let Ok(successor) = policy.trust.successor(frame, ALGORITHMS)
        {
            let next = under(policy, Some(&successor));
            let adopt = Adopt::new(&LAYOUT, guard, handover, &next, (&successor, envelope));
            let _ = adopt.map(|adopt| run(flash, adopt));
            break;
        }
    }
    Ok(())
}

/// The trust document in force, as the application finds it: it can read the guard region and not write there.
///
/// # Errors
/// If the one that is kept is longer than the layout says.
pub(crate) fn in_force<'m>(
    flash: &mut FlashFile,
    pinned: &Policy<'_>,
    memory: &'m mut TrustMemory,
) -> Result<Option<AuthenticTrust<'m>>, TrustMemoryError> {
    let guard = run(flash, Guard::peek(&LAYOUT));
    Ok(adopted(kept(flash, &guard, memory)?, pinned))
}

/// The policy with the keys of a document in place of its own.
pub(crate) fn under<'k>(policy: &Policy<'k>, adopted: Option<&'k AuthenticTrust<'k>>) -> Policy<'k> {
    Policy { trust: adopted.map_or(policy.trust, Trust::documented), ..*policy }
}

/// Envelope of the document that was adopted last; empty if there is none.
fn kept<'m>(
    flash: &mut FlashFile,
    guard: &Guard,
    memory: &'m mut TrustMemory,
) -> Result<&'m [u8], TrustMemoryError> {
    let len = run(flash, guard.read_trust(memory, &LAYOUT)?).unwrap_or(0);
    Ok(memory.get(..len).unwrap_or_default())
}

fn adopted<'m>(kept: &'m [u8], pinned: &Policy<'_>) -> Option<AuthenticTrust<'m>> {
    AuthenticTrust::from_guard_unchained(Frame::parse(kept).ok()?, &pinned.trust, ALGORITHMS).ok()
}

fn run<M: Machine>(flash: &mut FlashFile, machine: M) -> M::Output {
    run_blocking(machine, flash, &LAYOUT, &mut [0; LAYOUT.work_buffer()], || ())
}

//! A bootloader that keeps trust documents: it adopts what the application has put into its inbox.

use ota_manifest::{Frame, ResetCause};
use ota_slots::{Adopt, Boot, Guard, Handover, Machine, Policy, TRUST_MEMORY, WORK_BUFFER, run_blocking};
use ota_verify::{AuthenticTrust, Ed25519, KeyAlgorithm, Trust};

use super::Device;

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];

/// Boots under the trust that was adopted last, and hands over under what is in the inbox.
pub(super) fn boot(device: &mut Device, cause: ResetCause) -> Option<(Handover, Policy<'static>)> {
    let layout = device.layout;
    let mut guard = run(device, Guard::read(&layout));
    let policy = Policy { trust: kept(device, &guard), ..device.policy };
    let handover = run(device, Boot::new(&layout, &policy, cause).with_guard(&guard)).ok()?;
    let _ = run(device, guard.note(&layout, &handover));
    if device.adopts {
        adopt(device, &mut guard, &handover, &policy);
    }
    // The application reads for itself what is in force now.
    let guard = run(device, Guard::peek(&layout));
    Some((handover, Policy { trust: kept(device, &guard), ..policy }))
}

fn run<M: Machine>(device: &mut Device, machine: M) -> M::Output {
    run_blocking(machine, &mut device.flash, &device.layout, &mut [0; WORK_BUFFER], || ())
}

/// A bootloader's trust lives until the jump; a test may leak a document.
fn kept(device: &mut Device, guard: &Guard) -> Trust<'static> {
    let (layout, pinned) = (device.layout, device.policy.trust);
    let mut memory = vec![0; TRUST_MEMORY];
    let len = run(device, guard.read_trust(&mut memory, &layout).unwrap()).unwrap_or(0);
    memory.truncate(len);
    let adopted = Frame::parse(memory.leak())
        .ok()
        .and_then(|frame| AuthenticTrust::from_guard_unchained(frame, &pinned, ALGORITHMS).ok());
    adopted.map_or(pinned, |adopted| Trust::documented(Box::leak(Box::new(adopted))))
}

fn adopt(device: &mut Device, guard: &mut Guard, handover: &Handover, policy: &Policy<'_>) -> Option<()> {
    let layout = device.layout;
    let mut inbox = [0; TRUST_MEMORY];
    let len = run(device, guard.read_inbox(&mut inbox, &layout, &policy.trust).unwrap())?;
    let successor = policy.trust.successor(Frame::parse(&inbox[..len]).ok()?, ALGORITHMS).ok()?;
    let next = Policy { trust: Trust::documented(&successor), ..*policy };
    let adopt = Adopt::new(&layout, guard, handover, &next, (&successor, &inbox[..len])).ok()?;
    run(device, adopt).ok()
}

//! A whole bootloader, with a guard region and trust documents if the layout has them.

extern crate alloc;

use alloc::vec::Vec;

use embedded_storage::nor_flash::NorFlash;
use ota_manifest::{Frame, ResetCause};
use ota_verify::{AuthenticTrust, Ed25519, KeyAlgorithm, Trust};

use crate::{
    Adopt, Boot, Guard, Handover, Layout, Machine, Policy, Recovery, TRUST_MEMORY, WORK_BUFFER, run_blocking,
};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];

/// A bootloader under the trust that was adopted last; it adopts what the application has put into its inbox.
///
/// ```
/// use ota_manifest::ResetCause;
/// use ota_slots::sim::{Keeper, Lab};
///
/// let lab = Lab::new();
/// let mut flash = lab.provisioned(&lab.release(1, 3000));
/// let (layout, policy) = (lab.layout(), lab.policy());
/// let keeper = Keeper { layout: &layout, policy: &policy, adopts: true };
/// let handover = keeper.boot(&mut flash, ResetCause::PowerOn).expect("it was provisioned");
/// assert_eq!(handover.image().order().sequence, 1);
/// assert!(keeper.kept(&mut flash, &mut Vec::new()).is_none(), "this layout keeps no documents");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Keeper<'k> {
    /// Where everything lives.
    pub layout: &'k Layout,
    /// What everything is held against, with the pinned trust.
    pub policy: &'k Policy<'k>,
    /// It looks into its inbox.
    pub adopts: bool,
}

impl Keeper<'_> {
    /// From reset to the jump.
    ///
    /// # Errors
    /// [`Recovery`], also if power failed meanwhile.
    pub fn boot<F: NorFlash>(&self, flash: &mut F, cause: ResetCause) -> Result<Handover, Recovery> {
        let layout = self.layout;
        let mut guard = self.run(flash, Guard::read(layout));
        let mut memory = Vec::new();
        let kept = self.read_kept(flash, &guard, &mut memory);
        let trust = kept.as_ref().map_or(self.policy.trust, |(adopted, _)| Trust::documented(adopted));
        let policy = Policy { trust, ..*self.policy };
        let handover = if layout.strategy().moves() {
            self.run(flash, Boot::moving(layout, &policy, cause).with_guard(&guard))?
        } else {
            self.run(flash, Boot::new(layout, &policy, cause).with_guard(&guard))?
        };
        let _ = self.run(flash, guard.note(layout, &handover));
        if let Some((_, envelope)) = &kept {
            let _ = self.run(flash, guard.mend_trust(layout, envelope));
        }
        if self.adopts {
            let _ = self.adopt(flash, &mut guard, &handover, &policy);
        }
        Ok(handover)
    }

    /// What is in force besides the pinned keys, as the application reads it for itself.
    pub fn kept<'m, F: NorFlash>(
        &self,
        flash: &mut F,
        memory: &'m mut Vec<u8>,
    ) -> Option<AuthenticTrust<'m>> {
        let guard = self.run(flash, Guard::peek(self.layout));
        Some(self.read_kept(flash, &guard, memory)?.0)
    }

    /// The document that was adopted last, and its envelope.
    fn read_kept<'m, F: NorFlash>(
        &self,
        flash: &mut F,
        guard: &Guard,
        memory: &'m mut Vec<u8>,
    ) -> Option<(AuthenticTrust<'m>, &'m [u8])> {
        self.layout.kept_trust()?;
        memory.resize(TRUST_MEMORY, 0);
        let len = self.run(flash, guard.read_trust(memory, self.layout).ok()?)?;
        let envelope = memory.get(..len)?;
        let frame = Frame::parse(envelope).ok()?;
        let adopted = AuthenticTrust::from_guard_unchained(frame, &self.policy.trust, ALGORITHMS).ok()?;
        Some((adopted, envelope))
    }

    /// The last step before the jump; `None` if there is nothing to adopt, or it is not the time.
    fn adopt<F: NorFlash>(
        &self,
        flash: &mut F,
        guard: &mut Guard,
        handover: &Handover,
        policy: &Policy<'_>,
    ) -> Option<()> {
        self.layout.kept_trust()?;
        let mut memory = [0; TRUST_MEMORY];
        let len = self.next_document(flash, guard, policy, &mut memory)?;
        let envelope = memory.get(..len)?;
        let successor = policy.trust.successor(Frame::parse(envelope).ok()?, ALGORITHMS).ok()?;
        let next = Policy { trust: Trust::documented(&successor), ..*policy };
        let adopt = Adopt::new(self.layout, guard, handover, &next, (&successor, envelope)).ok()?;
        self.run(flash, adopt).ok()
    }

    /// Length of the document that may follow; read again where a bit was programmed by half.
    fn next_document<F: NorFlash>(
        &self,
        flash: &mut F,
        guard: &Guard,
        policy: &Policy<'_>,
        memory: &mut [u8],
    ) -> Option<usize> {
        (0..3).find_map(|_| {
            let len = self.run(flash, guard.read_inbox(memory, self.layout, &policy.trust).ok()?)?;
            let frame = Frame::parse(memory.get(..len)?).ok()?;
            policy.trust.successor(frame, ALGORITHMS).ok().map(|_| len)
        })
    }

    fn run<F: NorFlash, M: Machine>(&self, flash: &mut F, machine: M) -> M::Output {
        run_blocking(machine, flash, self.layout, &mut [0; WORK_BUFFER], || ())
    }
}

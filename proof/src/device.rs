//! A whole device: bootloader, hand-over, application, flash.

use ota_manifest::{Frame, ResetCause};
use ota_slots::{
    Adopt, Boot, Guard, Handover, Machine, Opened, Policy, Recovery, SlotId, SlotState, TRUST_MEMORY,
    WORK_BUFFER, run_blocking,
};
use ota_verify::{AuthenticTrust, Trust};

use crate::chip::{Chip, Eve};
use crate::key::ALGORITHMS;
use crate::life::Life;
use crate::replay::in_words;
use crate::witness::{Fault, Witness};
use crate::world::World;

/// How a power session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Power failed.
    PowerLost,
    /// The device was reset.
    Reset(ResetCause),
    /// Nothing left to do.
    Idle,
    /// Nothing was handed over.
    Dead(Recovery),
}

/// Power failed: nothing that was computed since then is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerLost;

/// The flash right before an operation, and what had been seen of the life by then.
pub struct CutPoint {
    /// The flash.
    pub eve: Eve,
    /// What had been seen.
    pub witness: Witness,
}

/// Where cut points go as a life passes them.
pub type Sink<'s> = Box<dyn FnMut(CutPoint) + 's>;

/// What the bootloader has handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handed {
    pub(crate) slot: SlotId,
    pub(crate) release: u16,
    pub(crate) state: SlotState,
}

/// A device in the middle of its life.
pub struct Device<'w> {
    pub(crate) world: &'w World,
    pub(crate) life: &'w Life,
    /// Its flash.
    pub chip: Chip,
    /// Who watches.
    pub witness: Witness,
    sink: Option<Sink<'w>>,
    story: Option<String>,
}

impl<'w> Device<'w> {
    /// A device with this flash, of whose life this has been seen.
    #[must_use]
    pub const fn new(world: &'w World, life: &'w Life, chip: Chip, witness: Witness) -> Self {
        Self { world, life, chip, witness, sink: None, story: None }
    }

    /// Passes every cut point of what follows to `sink`.
    pub fn observe(&mut self, sink: Sink<'w>) {
        self.chip.watch();
        self.sink = Some(sink);
    }

    /// Whether somebody looks at cut points.
    #[must_use]
    pub const fn is_observed(&self) -> bool {
        self.sink.is_some() || self.story.is_some()
    }

    /// Tells, from now on, what happens.
    pub fn tell(&mut self) {
        self.chip.watch();
        self.story = Some(String::new());
    }

    /// What has been told since.
    #[must_use]
    pub fn told(self) -> String {
        self.story.unwrap_or_default()
    }

    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push_str(&line());
            story.push('\n');
        }
    }

    /// Runs one machine.
    pub(crate) fn run<M: Machine>(&mut self, machine: M) -> Result<M::Output, PowerLost> {
        let layout = &self.world.layout;
        let output = run_blocking(machine, &mut self.chip, layout, &mut [0; WORK_BUFFER], || ());
        for eve in self.chip.take_eves() {
            if self.story.is_some() {
                let words = in_words(self, eve.number(), eve.operation());
                self.say(|| words);
            }
            if let Some(sink) = &mut self.sink {
                sink(CutPoint { eve, witness: self.witness.clone() });
            }
        }
        if self.chip.is_powered() { Ok(output) } else { Err(PowerLost) }
    }

    /// One power session: bootloader, then the application until it resets or has nothing left to do.
    pub fn session(&mut self, cause: ResetCause) -> Ended {
        self.say(|| format!("reset by {cause:?}"));
        let ended = self.boot(cause).unwrap_or(Ended::PowerLost);
        self.say(|| format!("  {ended:?}"));
        if self.chip.violations() > 0 {
            let violations = self.chip.violations();
            self.witness.object(Fault::Violation, format!("{violations} rules of the flash were broken"));
        }
        ended
    }

    fn boot(&mut self, cause: ResetCause) -> Result<Ended, PowerLost> {
        let world = self.world;
        let handed = match self.bootloader(cause)? {
            Ok(handed) => handed,
            Err(recovery) => return Ok(Ended::Dead(recovery)),
        };
        let Handed { slot, release, state } = handed;
        if !world.is_handed_over(&mut self.chip, slot, release) {
            let detail = format!("slot {slot:?} is not what was signed as release {release}");
            self.witness.object(Fault::UnverifiedHandover, detail);
        }
        self.say(|| format!("  hands over slot {slot:?}, release {release}, {state:?}"));
        self.witness.handed_over(release, state);
        if world.layout.kept_trust().is_none() {
            return self.open(slot, release, &world.policy);
        }
        let guard = self.run(Guard::peek(&world.layout))?;
        let mut memory = [0; TRUST_MEMORY];
        let adopted = self.adopted(&guard, &mut memory)?;
        let trust = adopted.as_ref().map_or(world.policy.trust, Trust::documented);
        self.open(slot, release, &Policy { trust, ..world.policy })
    }

    fn open(&mut self, slot: SlotId, release: u16, policy: &Policy<'_>) -> Result<Ended, PowerLost> {
        match self.run(Opened::open(&self.world.layout, policy, slot))? {
            Ok(opened) => self.application(opened, release, policy),
            Err(_) => Ok(self.refused()),
        }
    }

    /// The application was refused something with the power on: it resets and tries again.
    pub(crate) fn refused(&mut self) -> Ended {
        self.witness.refusals += 1;
        Ended::Reset(ResetCause::Software)
    }
}

/// The bootloader.
impl Device<'_> {
    /// From reset to the jump.
    pub(crate) fn bootloader(&mut self, cause: ResetCause) -> Result<Result<Handed, Recovery>, PowerLost> {
        let world = self.world;
        let layout = &world.layout;
        self.chip.reset();
        let mut guard = self.run(Guard::read(layout))?;
        let mut memory = [0; TRUST_MEMORY];
        let adopted = self.adopted(&guard, &mut memory)?;
        let trust = adopted.as_ref().map_or(world.policy.trust, Trust::documented);
        self.witness.believes(trust.version());
        let policy = Policy { trust, ..world.policy };
        let decided = if layout.strategy().moves() {
            self.run(Boot::moving(layout, &policy, cause).with_guard(&guard))?
        } else {
            self.run(Boot::new(layout, &policy, cause).with_guard(&guard))?
        };
        let handover = match decided {
            Ok(handover) => handover,
            Err(recovery) => return Ok(Err(recovery)),
        };
        let noted = self.run(guard.note(layout, &handover))?;
        if layout.kept_trust().is_some() {
            self.adopt(&mut guard, &handover, &policy)?;
        }
        self.witness.security(handover.image().security_version().0, guard.floor().0, noted.is_ok());
        Ok(Ok(self.lock(handover)))
    }

    /// The last step before the jump.
    fn lock(&mut self, handover: Handover) -> Handed {
        let layout = &self.world.layout;
        let release = u16::try_from(handover.image().order().sequence).unwrap_or(u16::MAX);
        let handed = Handed { slot: handover.slot(), release, state: handover.state() };
        let address = handover.lock(layout, |region| self.chip.lock(region));
        if address != layout.slot(handed.slot).link_address {
            let detail = format!("jumps to {address:#x} for slot {:?}", handed.slot);
            self.witness.object(Fault::UnverifiedHandover, detail);
        }
        let mut guarded = layout.guard().into_iter().chain(layout.kept_trust());
        if !guarded.all(|region| self.chip.is_locked(&region)) {
            self.witness.object(Fault::Violation, "the guard region is not protected");
        }
        handed
    }

    /// The trust document that was adopted, if there is one.
    fn adopted<'m>(
        &mut self,
        guard: &Guard,
        memory: &'m mut [u8; TRUST_MEMORY],
    ) -> Result<Option<AuthenticTrust<'m>>, PowerLost> {
        let world = self.world;
        if world.layout.kept_trust().is_none() {
            return Ok(None);
        }
        let read =
            guard.read_trust(memory, &world.layout).expect("as much memory as classical documents need");
        let Some(len) = self.run(read)? else { return Ok(None) };
        let frame = memory.get(..len).and_then(|bytes| Frame::parse(bytes).ok());
        Ok(frame.and_then(|frame| {
            AuthenticTrust::from_guard_unchained(frame, &world.policy.trust, &ALGORITHMS).ok()
        }))
    }

    /// Adopts the trust document that the application has left, if it is time.
    fn adopt(
        &mut self,
        guard: &mut Guard,
        handover: &Handover,
        policy: &Policy<'_>,
    ) -> Result<(), PowerLost> {
        let layout = &self.world.layout;
        let mut memory = [0; TRUST_MEMORY];
        let read = guard.read_inbox(&mut memory, layout, &policy.trust).expect("the same memory");
        let Some(len) = self.run(read)? else { return Ok(()) };
        let Some(envelope) = memory.get(..len) else { return Ok(()) };
        let Ok(frame) = Frame::parse(envelope) else { return Ok(()) };
        let Ok(successor) = policy.trust.successor(frame, &ALGORITHMS) else { return Ok(()) };
        let next = Policy { trust: Trust::documented(&successor), ..*policy };
        let Ok(adopt) = Adopt::new(layout, guard, handover, &next, (&successor, envelope)) else {
            return Ok(());
        };
        // Refused with the power on: it is tried again at the next boot.
        if self.run(adopt)?.is_err() {
            self.witness.refusals += 1;
        }
        Ok(())
    }
}

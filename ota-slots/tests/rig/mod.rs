//! A small device of each strategy, driven one operation at a time: bootloader with guard region, application, flash.
//!
//! Shared with the fuzz targets, which include this file by its path.
#![allow(dead_code, reason = "each test file uses its part")]

use std::num::NonZeroU8;
use std::sync::OnceLock;

use ota_manifest::{Frame, ResetCause, Role, RollbackReason, SecurityVersion};
use ota_slots::sim::{Lab, LabFlash, Release};
use ota_slots::{
    App, BeginError, Boot, FinishError, Geometry, Guard, Handover, Layout, Machine, MayBegin, Opened,
    Partition, Policy, RECORD, Recovery, Region, Site, SlotId, SlotRegion, SlotState, Snapshot, Staged,
    Staging, Strategy, WORK_BUFFER, run_blocking,
};

/// Bytes of an erase page.
pub(crate) const PAGE: usize = 1024;
pub(crate) const JOURNAL: core::ops::Range<usize> = 0..2 * PAGE;
pub(crate) const PROGRESS: core::ops::Range<usize> = 2 * PAGE..4 * PAGE;
pub(crate) const GUARD: core::ops::Range<usize> = 4 * PAGE..6 * PAGE;
pub(crate) const STRATEGIES: [Strategy; 3] = [Strategy::DirectXip, Strategy::SwapOffset, Strategy::Overwrite];

/// Releases 1 to 5, as (bytes, security version). All longer than a page: what was staged is gone once it was swapped.
pub(crate) const RELEASES: [(usize, u32); 5] = [(1500, 1), (2500, 1), (2000, 2), (1100, 2), (3000, 3)];

const FLASH: Geometry = Geometry { erase_page: 1024, write_size: 4, erased: 0xFF };

/// What all devices of a strategy share. Signing is slow in debug builds, so it is done once.
pub(crate) struct World {
    pub(crate) layout: Layout,
    pub(crate) policy: Policy<'static>,
    releases: Vec<Release>,
    provisioned: LabFlash,
}

static WORLDS: [OnceLock<World>; 3] = [const { OnceLock::new() }; 3];

const fn pages(start: u32, len: u32) -> Region {
    Region::new(FLASH, start * 1024, len * 1024)
}

const fn partition(strategy: Strategy) -> Partition {
    let (journal, progress, guard) = (pages(0, 2), pages(2, 2), pages(4, 2));
    let a = SlotRegion::new(pages(6, 8), 0x10_0000);
    match strategy {
        Strategy::DirectXip => Partition::direct_xip(journal, a, SlotRegion::new(pages(14, 8), 0x20_0000)),
        Strategy::SwapOffset => Partition::swap_offset(journal, a, pages(14, 10), progress),
        Strategy::Overwrite => Partition::overwrite_without_way_back(journal, a, pages(14, 8), progress),
    }
    .with_guard(guard)
}

impl World {
    pub(crate) fn of(strategy: Strategy) -> &'static Self {
        WORLDS[strategy as usize].get_or_init(|| Self::new(strategy))
    }

    fn new(strategy: Strategy) -> Self {
        let lab = Lab::with_layout(Layout::constant(partition(strategy)));
        let releases: Vec<_> = (1..)
            .zip(RELEASES)
            .map(|(number, (size, security))| {
                lab.release_with(number, size, |draft| draft.security_version = SecurityVersion(security))
            })
            .collect();
        let provisioned = lab.provisioned(&releases[0]);
        Self { layout: lab.layout(), policy: lab.policy(), releases, provisioned }
    }

    /// Releases are numbered from 1.
    pub(crate) fn release(&self, number: u32) -> &Release {
        &self.releases[number as usize - 1]
    }
}

/// How a boot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Booted {
    PowerLost,
    Recovery(Recovery),
    Ran { slot: SlotId, release: u32, state: SlotState },
}

/// How an operation of the application ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Refused,
    PowerLost,
}

/// A device, and what its firmware holds in memory until the next reset.
pub(crate) struct Rig {
    pub(crate) world: &'static World,
    pub(crate) flash: LabFlash,
    app: Option<Opened<'static>>,
    staging: Option<(u32, Staging<'static>)>,
    staged: Option<Staged>,
}

impl Rig {
    /// A device that runs release 1 from slot A and has never been booted.
    pub(crate) fn new(strategy: Strategy, seed: u64) -> Self {
        let world = World::of(strategy);
        Self::over(world, world.provisioned.reseeded(seed))
    }

    pub(crate) fn over(world: &'static World, flash: LabFlash) -> Self {
        Self { world, flash, app: None, staging: None, staged: None }
    }

    /// The same flash in another device.
    pub(crate) fn twin(&self, seed: u64) -> Self {
        Self::over(self.world, self.flash.reseeded(seed))
    }

    pub(crate) fn run<M: Machine>(&mut self, machine: M) -> M::Output {
        run_blocking(machine, &mut self.flash, &self.world.layout, &mut [0; WORK_BUFFER], || ())
    }

    /// The state of the running firmware, if it has come so far.
    pub(crate) fn opened(&self) -> Option<&Opened<'static>> {
        self.app.as_ref()
    }

    /// The newest record of the journal.
    pub(crate) fn record(&self) -> Option<Snapshot> {
        let journal = self.flash.bytes_in(JOURNAL);
        let cells = journal.as_chunks::<RECORD>().0.iter();
        cells
            .filter_map(Snapshot::decode)
            .max_by_key(|(sequence, ..)| *sequence)
            .map(|(.., snapshot)| snapshot)
    }

    /// First byte of where the journal has its newest record.
    pub(crate) fn newest_cell(&self) -> Option<usize> {
        let journal = self.flash.bytes_in(JOURNAL);
        let cells = journal.as_chunks::<RECORD>().0.iter().enumerate();
        cells
            .filter_map(|(cell, bytes)| Some((Snapshot::decode(bytes)?.0, cell)))
            .max()
            .map(|(_, cell)| cell * RECORD)
    }

    /// First byte of an image in flash.
    pub(crate) fn image_at(&self, site: Site) -> usize {
        let layout = &self.world.layout;
        (layout.slot(site.slot()).region.start + layout.image_offset(site)) as usize
    }
}

/// The bootloader.
impl Rig {
    /// A reset: bootloader, then the firmware finds out in which state it runs.
    pub(crate) fn boot(&mut self, cause: ResetCause) -> Booted {
        self.forget();
        let handover = self.decide(cause);
        if !self.flash.is_powered() {
            return Booted::PowerLost;
        }
        let handover = match handover {
            Ok(handover) => handover,
            Err(recovery) => return Booted::Recovery(recovery),
        };
        self.judge(&handover);
        let (world, slot) = (self.world, handover.slot());
        self.app = self.run(Opened::open(&world.layout, &world.policy, slot)).ok();
        let release = handover.image().order().sequence;
        Booted::Ran { slot, release, state: handover.state() }
    }

    /// What was in memory is gone.
    pub(crate) fn forget(&mut self) {
        (self.app, self.staging, self.staged) = (None, None, None);
    }

    fn decide(&mut self, cause: ResetCause) -> Result<Handover, Recovery> {
        let World { layout, policy, .. } = self.world;
        let mut guard = self.run(Guard::read(layout));
        let handover = if layout.strategy().moves() {
            self.run(Boot::moving(layout, policy, cause).with_guard(&guard))
        } else {
            self.run(Boot::new(layout, policy, cause).with_guard(&guard))
        }?;
        // A guard region that takes nothing keeps nothing from running.
        let _ = self.run(guard.note(layout, &handover));
        Ok(handover)
    }

    /// Only a proven image is handed over: byte for byte one of those that were signed, for this address.
    fn judge(&self, handover: &Handover) {
        let slot = handover.slot();
        let number = handover.image().order().sequence;
        let image = &self.world.release(number).for_slot(slot).image;
        let start = self.world.layout.slot(slot).region.start as usize;
        let found = self.flash.bytes_in(start..start + image.len());
        assert!(found == *image, "handed over what was never signed as release {number}");
    }
}

/// The application.
impl Rig {
    fn reply<T, E>(&self, result: Result<T, E>) -> Reply {
        match result {
            _ if !self.flash.is_powered() => Reply::PowerLost,
            Ok(_) => Reply::Done,
            Err(_) => Reply::Refused,
        }
    }

    pub(crate) fn begin(&mut self, release: u32) -> Reply {
        let Some(mut opened) = self.app.take() else { return Reply::Refused };
        let begun = match &mut opened {
            Opened::Confirmed(app) => self.begin_with(app, release),
            Opened::Stranded(app) => self.begin_with(app, release),
            Opened::Trial(_) => Err(None),
        };
        self.app = Some(opened);
        let reply = self.reply(begun.as_ref());
        if let Ok(staging) = begun {
            (self.staging, self.staged) = (Some((release, staging)), None);
        }
        reply
    }

    fn begin_with<S: MayBegin>(
        &mut self,
        app: &mut App<'static, S>,
        release: u32,
    ) -> Result<Staging<'static>, Option<BeginError>> {
        let world = self.world;
        let envelope = &world.release(release).envelope;
        let frame = Frame::parse(envelope).expect("well-formed");
        let authentic = world.policy.trust.authenticate(frame, Role::Release).expect("signed by the lab");
        let update = authentic.admit(&app.device_state()).map_err(|_| None)?;
        let begin = app.begin(&update, envelope).map_err(Some)?;
        self.run(begin).map_err(Some)
    }

    /// Fills the slot as an agent would, resuming; only the first half if not `whole`.
    pub(crate) fn fill(&mut self, whole: bool) -> Reply {
        // Nobody fills on what is to be booted.
        if self.record().is_some_and(|record| record.state(self.target()) == SlotState::Pending) {
            return Reply::Refused;
        }
        let Some((release, mut staging)) = self.staging.take() else { return Reply::Refused };
        let filled = self.fill_with(&mut staging, release, whole);
        self.staging = Some((release, staging));
        self.reply(filled.ok_or(()))
    }

    fn fill_with(&mut self, staging: &mut Staging<'static>, release: u32, whole: bool) -> Option<()> {
        let world = self.world;
        let built = world.release(release).for_slot(self.target());
        let resume = self.run(staging.find_resume_point());
        if !resume.leaves_held {
            self.run(staging.erase_leaves()).ok()?;
            self.run(staging.store_leaves(0, &built.leaves).expect("the image's own leaves")).ok()?;
        }
        let end = if whole { staging.blocks() } else { staging.blocks() / 2 };
        for block in resume.block..end {
            self.run(staging.erase_block(block)).ok()?;
            let start = block as usize * PAGE;
            let bytes = &built.image[start..built.image.len().min(start + PAGE)];
            self.run(staging.store_chunk(block, bytes)).ok()?;
        }
        Some(())
    }

    fn target(&self) -> SlotId {
        match &self.app {
            Some(Opened::Confirmed(app)) => app.slot().other(),
            Some(Opened::Stranded(app)) => app.slot().other(),
            _ => SlotId::B,
        }
    }

    pub(crate) fn finish(&mut self) -> Reply {
        let Some((release, staging)) = self.staging.take() else { return Reply::Refused };
        let Some(mut opened) = self.app.take() else { return Reply::Refused };
        let finished: Result<Staged, FinishError> = match &mut opened {
            Opened::Confirmed(app) => self.run(app.finish(&staging)),
            Opened::Stranded(app) => self.run(app.finish(&staging)),
            Opened::Trial(_) => return Reply::Refused,
        };
        (self.app, self.staging) = (Some(opened), Some((release, staging)));
        let reply = self.reply(finished.as_ref());
        self.staged = finished.ok();
        reply
    }

    pub(crate) fn request(&mut self, attempts: u8) -> Reply {
        let (Some(staged), Some(attempts)) = (self.staged.take(), NonZeroU8::new(attempts)) else {
            return Reply::Refused;
        };
        let Some(mut opened) = self.app.take() else { return Reply::Refused };
        let request = match &mut opened {
            Opened::Confirmed(app) => app.request_boot(&staged, attempts),
            Opened::Stranded(app) => app.request_boot(&staged, attempts),
            Opened::Trial(_) => return Reply::Refused,
        };
        let requested = request.and_then(|request| self.run(request));
        let reply = self.reply(requested);
        (self.app, self.staged) = (Some(opened), Some(staged));
        reply
    }

    pub(crate) fn confirm(&mut self) -> Reply {
        let confirmed = match self.app.take() {
            Some(Opened::Trial(app)) => self.run(app.confirm()).ok(),
            Some(Opened::Stranded(app)) => self.run(app.confirm()).ok(),
            other => {
                self.app = other;
                return Reply::Refused;
            }
        };
        let reply = self.reply(confirmed.as_ref().ok_or(()));
        self.app = confirmed.map(Opened::Confirmed);
        reply
    }

    pub(crate) fn fail(&mut self, reason: RollbackReason) -> Reply {
        match self.app.take() {
            Some(Opened::Trial(app)) => {
                let failed = self.run(app.fail(reason));
                self.reply(failed)
            }
            other => {
                self.app = other;
                Reply::Refused
            }
        }
    }

    pub(crate) fn acknowledge(&mut self) -> Reply {
        self.record_with(|opened| match opened {
            Opened::Confirmed(app) => app.ack_event(),
            Opened::Trial(app) => app.ack_event(),
            Opened::Stranded(app) => app.ack_event(),
        })
    }

    pub(crate) fn save(&mut self, byte: u8) -> Reply {
        self.record_with(|opened| match opened {
            Opened::Confirmed(app) => saved(app, byte),
            Opened::Trial(app) => saved(app, byte),
            Opened::Stranded(app) => saved(app, byte),
        })
    }

    fn record_with(
        &mut self,
        write: impl for<'m> FnOnce(&'m mut Opened<'static>) -> ota_slots::Save<'m>,
    ) -> Reply {
        let Some(mut opened) = self.app.take() else { return Reply::Refused };
        let written = self.run(write(&mut opened));
        self.app = Some(opened);
        self.reply(written)
    }

    /// Stages a release and asks for its boot; all of it has to go well.
    pub(crate) fn update(&mut self, release: u32, attempts: u8) {
        assert_eq!(self.begin(release), Reply::Done, "begin");
        assert_eq!(self.fill(true), Reply::Done, "fill");
        assert_eq!(self.finish(), Reply::Done, "finish");
        assert_eq!(self.request(attempts), Reply::Done, "request");
    }
}

fn saved<'m, S>(app: &'m mut App<'static, S>, byte: u8) -> ota_slots::Save<'m> {
    app.set_opaque([byte; 32]);
    app.save()
}

impl Booted {
    pub(crate) fn ran(self) -> Option<(SlotState, u32)> {
        match self {
            Self::Ran { release, state, .. } => Some((state, release)),
            Self::PowerLost | Self::Recovery(_) => None,
        }
    }
}

impl Rig {
    /// The open event: its number and reason.
    pub(crate) fn event(&self) -> Option<(u32, RollbackReason)> {
        let event = match self.app.as_ref()? {
            Opened::Confirmed(app) => app.event(),
            Opened::Trial(app) => app.event(),
            Opened::Stranded(app) => app.event(),
        };
        event.map(|event| (event.id, event.reason))
    }
}

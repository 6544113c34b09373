//! A whole device in memory: bootloader, application, flash, and the judge of what it does.
#![allow(dead_code, reason = "each test file uses its part")]

use std::num::NonZeroU8;
use std::sync::OnceLock;

use ota_manifest::{Frame, ResetCause, Role, RollbackReason};
use ota_slots::sim::{Lab, LabFlash, Release};
use ota_slots::{
    App, Boot, Geometry, Handover, Layout, Machine, MayBegin, Opened, Partition, Policy, Recovery, Region,
    SlotId, SlotRegion, SlotState, Staging, Strategy, WORK_BUFFER, run_blocking,
};

/// What the new firmware does in its trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Firmware {
    Healthy,
    /// Finds itself unfit and says so.
    Fails,
    /// Hangs until the watchdog bites.
    Hangs,
}

/// How a power session ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ended {
    PowerLost,
    Reset(ResetCause),
    /// Nothing left to do.
    Idle,
}

pub(crate) struct Device {
    pub layout: Layout,
    pub policy: Policy<'static>,
    pub flash: LabFlash,
    pub old: Release,
    pub new: Release,
    pub firmware: Firmware,
    /// Sequence numbers of every hand-over.
    pub handovers: Vec<u32>,
    pub trial_handovers: usize,
    /// Events the application saw, by id; an event may be seen more than once, never two under one id.
    pub events: Vec<(u32, RollbackReason)>,
    /// The application was told that the new image is confirmed.
    pub saw_confirmed: bool,
    pub refused_again: bool,
}

impl Device {
    pub(crate) fn new(firmware: Firmware, seed: u64) -> Self {
        Self::with(Strategy::DirectXip, firmware, seed)
    }

    pub(crate) fn with(strategy: Strategy, firmware: Firmware, seed: u64) -> Self {
        let prototype = PROTOTYPES[strategy as usize].get_or_init(|| Prototype::new(strategy));
        let Prototype { layout, policy, flash, old, new } = prototype;
        Self {
            layout: *layout,
            policy: *policy,
            flash: flash.reseeded(seed),
            old: old.clone(),
            new: new.clone(),
            firmware,
            handovers: Vec::new(),
            trial_handovers: 0,
            events: Vec::new(),
            saw_confirmed: false,
            refused_again: false,
        }
    }

    pub(crate) fn run<M: Machine>(&mut self, machine: M) -> M::Output {
        // As short as may be: what needs more is to be noticed.
        match self.layout.work_buffer() {
            WORK_BUFFER => run_blocking(machine, &mut self.flash, &self.layout, &mut [0; WORK_BUFFER], || ()),
            4096 => run_blocking(machine, &mut self.flash, &self.layout, &mut [0; 4096], || ()),
            other => panic!("no buffer of {other} bytes"),
        }
    }

    pub(crate) fn boot(&mut self, cause: ResetCause) -> Result<Handover, Recovery> {
        let (layout, policy) = (self.layout, self.policy);
        if layout.strategy().moves() {
            self.run(Boot::moving(&layout, &policy, cause))
        } else {
            self.run(Boot::new(&layout, &policy, cause))
        }
    }

    /// A device whose journal starts at another cell: records were written before the life began.
    pub(crate) fn aged(strategy: Strategy, firmware: Firmware, seed: u64, records: usize) -> Self {
        let mut device = Self::with(strategy, firmware, seed);
        let (layout, policy) = (device.layout, device.policy);
        for _ in 0..records {
            let handover = device.boot(ResetCause::PowerOn).expect("it boots");
            let opened = device.run(Opened::open(&layout, &policy, handover.slot()));
            let Ok(Opened::Confirmed(mut app)) = opened else { panic!("{opened:?}") };
            device.run(app.save()).expect("a record");
        }
        device.flash = device.flash.reseeded(seed);
        device
    }

    /// One power session: bootloader, hand-over, application. The judge looks at every hand-over.
    pub(crate) fn session(&mut self, cause: ResetCause) -> Ended {
        let (layout, policy) = (self.layout, self.policy);
        let handover = self.boot(cause);
        if !self.flash.is_powered() {
            return Ended::PowerLost;
        }
        let handover = handover.expect("a device that has a good image boots");
        self.judge(&handover);
        let opened = self.run(Opened::open(&layout, &policy, handover.slot()));
        let ended = match opened.expect("running firmware can open its slots") {
            Opened::Trial(app) => self.trial(app),
            Opened::Confirmed(app) => self.confirmed(app, handover.image().order().sequence),
            Opened::Stranded(_) => panic!("nothing in these lives strands a device"),
        };
        if self.flash.is_powered() { ended } else { Ended::PowerLost }
    }

    /// Only a proven image is handed over: byte for byte one of the two that were signed.
    fn judge(&mut self, handover: &Handover) {
        let sequence = handover.image().order().sequence;
        let release = if sequence == 1 { &self.old } else { &self.new };
        let image = &release.for_slot(handover.slot()).image;
        let start = self.layout.slot(handover.slot()).region.start as usize;
        assert_eq!(
            self.flash.bytes()[start..start + image.len()],
            image[..],
            "handed over what was never signed"
        );
        self.handovers.push(sequence);
        self.trial_handovers += usize::from(handover.state() == SlotState::Trial);
        assert!(!(self.saw_confirmed && sequence == 1), "a confirmed image went back: {:?}", self.handovers);
    }

    fn trial(&mut self, app: App<'_, ota_slots::Trial>) -> Ended {
        assert!(!self.saw_confirmed, "firmware that was told it is confirmed is on trial again");
        match self.firmware {
            Firmware::Healthy => {
                let confirmed = self.run(app.confirm());
                if !self.flash.is_powered() {
                    return Ended::PowerLost;
                }
                confirmed.expect("confirm with power on");
                self.saw_confirmed = true;
                Ended::Reset(ResetCause::Software)
            }
            Firmware::Fails => {
                let failed = self.run(app.fail(RollbackReason::SelfTest));
                assert!(failed.is_ok() || !self.flash.is_powered());
                Ended::Reset(ResetCause::Software)
            }
            Firmware::Hangs => Ended::Reset(ResetCause::Watchdog),
        }
    }

    fn confirmed(&mut self, mut app: App<'_, ota_slots::Confirmed>, sequence: u32) -> Ended {
        if let Some(event) = app.event() {
            if !self.events.contains(&(event.id, event.reason)) {
                self.events.push((event.id, event.reason));
            }
            let acknowledged = self.run(app.ack_event());
            assert!(acknowledged.is_ok() || !self.flash.is_powered());
            return Ended::Reset(ResetCause::Software);
        }
        if sequence == 2 {
            self.saw_confirmed = true;
            return Ended::Idle;
        }
        self.update(&mut app)
    }

    /// Brings the new release into the other slot, as an agent would, and asks for a boot.
    fn update<S: MayBegin>(&mut self, app: &mut App<'_, S>) -> Ended {
        let new = self.new.clone();
        let frame = Frame::parse(&new.envelope).expect("a well-formed envelope");
        let authentic = self.policy.trust.authenticate(frame, Role::Release).expect("signed by the lab");
        let Ok(update) = authentic.admit(&app.device_state()) else {
            self.refused_again = true;
            return Ended::Idle;
        };
        let slot = app.slot().other();
        let begin = app.begin(&update, &new.envelope).expect("nothing stands against beginning");
        let mut staging = match self.run(begin) {
            Ok(staging) => staging,
            Err(error) => {
                assert!(!self.flash.is_powered(), "{error}");
                return Ended::PowerLost;
            }
        };
        if self.fill(&mut staging, &new, slot).is_none() {
            return Ended::PowerLost;
        }
        let finished = self.run(app.finish(&staging));
        if !self.flash.is_powered() {
            return Ended::PowerLost;
        }
        let staged = finished.expect("a filled slot proves itself");
        let request =
            app.request_boot(&staged, NonZeroU8::new(3).unwrap()).expect("three attempts of a newer image");
        let requested = self.run(request);
        assert!(requested.is_ok() || !self.flash.is_powered());
        Ended::Reset(ResetCause::Software)
    }

    /// `None` when power failed on the way.
    fn fill(&mut self, staging: &mut Staging<'_>, release: &Release, slot: SlotId) -> Option<()> {
        let built = release.for_slot(slot);
        let resume = self.run(staging.find_resume_point());
        if !resume.leaves_held {
            self.run(staging.erase_leaves()).ok()?;
            self.run(staging.store_leaves(0, &built.leaves).unwrap()).ok()?;
            assert!(self.run(staging.check_leaves()) || !self.flash.is_powered());
        }
        let chunk = staging.image().chunk_size.bytes() as usize;
        for block in resume.block..staging.blocks() {
            self.run(staging.erase_block(block)).ok()?;
            let (first, end) = staging.chunks_of(block);
            for index in first..end {
                let start = index as usize * chunk;
                let bytes = &built.image[start..built.image.len().min(start + chunk)];
                self.run(staging.store_chunk(index, bytes)).ok()?;
            }
        }
        self.flash.is_powered().then_some(())
    }

    /// Sessions until nothing is left to do; how many it took.
    pub(crate) fn live(&mut self) -> usize {
        let mut cause = ResetCause::PowerOn;
        for session in 0..40 {
            match self.session(cause) {
                Ended::PowerLost => {
                    self.flash.power_on();
                    cause = ResetCause::PowerOn;
                }
                Ended::Reset(why) => cause = why,
                Ended::Idle => return session,
            }
        }
        panic!("not stable after 40 sessions: {:?}", self.handovers);
    }

    /// A settled device stays where it is, whatever resets it.
    pub(crate) fn stays(&mut self) {
        let settled = *self.handovers.last().expect("it has booted");
        for cause in [ResetCause::Watchdog, ResetCause::PowerOn, ResetCause::Software].repeat(3) {
            assert_eq!(self.session(cause), Ended::Idle);
            assert_eq!(self.handovers.last(), Some(&settled));
        }
    }
}

/// A provisioned device, made once: signing is slow in debug builds.
struct Prototype {
    layout: Layout,
    policy: Policy<'static>,
    flash: LabFlash,
    old: Release,
    new: Release,
}

static PROTOTYPES: [OnceLock<Prototype>; 3] = [const { OnceLock::new() }; 3];

const FLASH: Geometry = Geometry { erase_page: 1024, write_size: 4, erased: 0xFF };

const fn pages(start: u32, len: u32) -> Region {
    Region::new(FLASH, start * 1024, len * 1024)
}

impl Prototype {
    fn new(strategy: Strategy) -> Self {
        let primary = SlotRegion::new(pages(4, 16), 0x10_0000);
        let partition = match strategy {
            Strategy::DirectXip => return Self::in_lab(&Lab::new()),
            Strategy::SwapOffset => Partition::swap_offset(pages(0, 2), primary, pages(20, 18), pages(2, 2)),
            Strategy::Overwrite => {
                Partition::overwrite_without_way_back(pages(0, 2), primary, pages(20, 18), pages(2, 2))
            }
        };
        Self::in_lab(&Lab::with_layout(Layout::new(partition).unwrap()))
    }

    fn in_lab(lab: &Lab) -> Self {
        let (old, new) = (lab.release(1, 3000), lab.release(2, 5500));
        Self { layout: lab.layout(), policy: lab.policy(), flash: lab.provisioned(&old), old, new }
    }
}

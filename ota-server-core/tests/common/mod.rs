//! A bare engine with a store behind it, as every test needs it.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "shared by several test binaries, none of which uses all of it"
)]

pub mod fleet;

use ota_manifest::wire::{PROTOCOL, Poll, Question, Report, Stage};
use ota_manifest::{
    DeviceId, Digest, HardwareRange, JobId, ManifestId, Nonce, Order, SecurityVersion, Version,
};
use ota_server_core::engine::CampaignView;
use ota_server_core::store::{BoxFuture, MemoryStore};
use ota_server_core::{
    Actor, Answer, Batch, CampaignNo, Command, CommandError, Effects, Engine, Event, Gate, HaltRule, JobKind,
    JobRow, Outcome, Plan, Release, ReleaseNo, Role, Store, StoreVersion, Target, Timeouts, UnixMs, Wave,
};

pub const ONE: CampaignNo = CampaignNo(1);
pub const RELEASE: ReleaseNo = ReleaseNo(1);
pub const OLD: ManifestId = ManifestId::new([1; 8]);
pub const NEW: ManifestId = ManifestId::new([2; 8]);

pub fn device(n: u8) -> DeviceId {
    DeviceId::new([n; 16])
}

pub fn poll() -> Poll {
    Poll {
        protocol: PROTOCOL,
        version: Version::new(1, 0, 0),
        order: Order { epoch: 0, sequence: 1 },
        floor: SecurityVersion(0),
        running: OLD,
        bootloader: 1,
        hardware: 1,
    }
}

pub fn release(sequence: u32, manifest: ManifestId) -> Release {
    Release {
        no: ReleaseNo(0),
        version: Version::new(1, 1, 0),
        order: Order { epoch: 0, sequence },
        security_version: SecurityVersion(0),
        manifest,
        vendor: "vendor".into(),
        class: "class".into(),
        hardware: HardwareRange::ANY,
        min_bootloader: 0,
        images: vec![],
        envelope: vec![7; 100],
        author: String::new(),
        published: UnixMs(0),
    }
}

/// Everybody at once, and nothing that stops by itself: each test adds the knob that it is about.
pub fn plan() -> Plan {
    Plan {
        waves: vec![Wave::Percent(100)],
        max_in_flight: 1000,
        gate: Gate { permille: 1000, min_sample: 1 },
        soak_ms: 0,
        halt: vec![],
        timeouts: Timeouts {
            offered: 1000,
            accepted: 1000,
            downloading: 1000,
            downloaded: 1000,
            verified: 1000,
            pending_boot: 1000,
            testing: 1000,
        },
        max_attempts: 1,
        retry_after_ms: 0,
        approvals: 1,
        start_at_ms: None,
    }
}

pub fn stop_at_first_rollback() -> HaltRule {
    HaltRule { outcome: Outcome::RolledBack, permille: 0, min_sample: 1 }
}

/// An engine whose every batch is committed.
pub struct Rig {
    pub engine: Engine,
    pub store: MemoryStore,
    pub version: StoreVersion,
    pub now: u64,
    /// Every batch so far.
    pub log: Vec<Batch>,
    pub bells: Vec<(DeviceId, JobId)>,
}

impl Rig {
    pub fn new(devices: u8) -> Self {
        let mut rig = Self {
            engine: Engine::new(),
            store: MemoryStore::new(),
            version: StoreVersion(0),
            now: 1_000_000,
            log: vec![],
            bells: vec![],
        };
        for n in 0..devices {
            rig.author(Command::Enrol { device: device(n), name: "d".into(), token: Digest::new([n; 32]) })
                .unwrap();
        }
        rig
    }

    /// A rig with a published release and a running campaign.
    pub fn running(devices: u8, plan: Plan) -> Self {
        let mut rig = Self::new(devices);
        rig.author(Command::Publish(Box::new(release(2, NEW)))).unwrap();
        rig.launch(RELEASE, plan);
        rig
    }

    pub fn launch(&mut self, release: ReleaseNo, plan: Plan) -> CampaignNo {
        let create = Command::Create {
            name: "c".into(),
            release,
            plan: Box::new(plan),
            target: Target::All,
            salt: [5; 16],
        };
        let Answer::Created(no) = self.author(create).unwrap() else { panic!("not created") };
        self.author(Command::Submit(no)).unwrap();
        self.approver(Command::Approve(no)).unwrap();
        no
    }

    pub fn step(&mut self, event: Event<'_>) -> Result<Effects, CommandError> {
        let effects = self.engine.step(event, UnixMs(self.now))?;
        self.log.push(effects.batch.clone());
        self.bells.extend(effects.bells.iter().copied());
        self.version = ready(self.store.commit(effects.batch.clone(), self.version)).unwrap();
        Ok(effects)
    }

    pub fn operator(&mut self, name: &str, role: Role, command: Command) -> Result<Answer, CommandError> {
        let actor = Actor::new(name, &[role]);
        Ok(self.step(Event::Operator { actor: &actor, command })?.answer)
    }

    pub fn author(&mut self, command: Command) -> Result<Answer, CommandError> {
        self.operator("ann", Role::Author, command)
    }

    pub fn approver(&mut self, command: Command) -> Result<Answer, CommandError> {
        self.operator("bob", Role::Approver, command)
    }

    pub fn ask(&mut self, n: u8) -> Answer {
        self.ask_as(n, &poll())
    }

    pub fn ask_as(&mut self, n: u8, poll: &Poll) -> Answer {
        self.step(Event::Poll { device: device(n), poll }).unwrap().answer
    }

    /// Asks what time it is and what there is, with this trust in force.
    pub fn question(&mut self, n: u8, trust: u32) -> Answer {
        let question = Question { nonce: Nonce::new([n; 16]), trust };
        self.step(Event::Ask { device: device(n), question: &question }).unwrap().answer
    }

    /// Asks and insists on an offer.
    pub fn offered(&mut self, n: u8) -> (JobId, u8) {
        match self.ask(n) {
            Answer::Offer { job, attempt, .. } => (job, attempt),
            other => panic!("device {n}: {other:?}"),
        }
    }

    pub fn report(&mut self, n: u8, (job, attempt): (JobId, u8), seq: u32, stage: Stage) -> Answer {
        let report = Report { job, attempt, seq, stage };
        self.step(Event::Report { device: device(n), report: &report }).unwrap().answer
    }

    pub fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.step(Event::Tick).unwrap();
    }

    /// Forgets everything but the store.
    pub fn restart(&mut self) {
        let snapshot = ready(self.store.load()).unwrap();
        self.engine = Engine::load(snapshot).unwrap();
        let releases: Vec<_> = self.engine.releases().map(|release| release.no).collect();
        for release in releases {
            self.step(Event::Readiness { release, ready: true, detail: "" }).unwrap();
        }
    }

    pub fn view(&self, no: CampaignNo) -> CampaignView {
        self.engine.campaign(no).unwrap()
    }

    pub fn state(&self) -> &'static str {
        self.view(ONE).campaign.state.name()
    }

    pub fn count(&self, kind: JobKind) -> u32 {
        self.view(ONE).total.get(kind)
    }

    pub fn jobs(&self, no: CampaignNo) -> Vec<JobRow> {
        self.engine.jobs(no, 0, u32::MAX)
    }

    /// Devices in the campaign's order.
    pub fn ranked(&self) -> Vec<u8> {
        self.jobs(ONE).iter().map(|row| row.device.as_bytes()[0]).collect()
    }

    pub fn kind(&self, n: u8) -> JobKind {
        self.jobs(ONE).into_iter().find(|row| row.device == device(n)).unwrap().job.kind()
    }

    pub fn happened(&self, what: &str) -> usize {
        self.log.iter().flat_map(|batch| &batch.events).filter(|event| event.what == what).count()
    }

    pub fn noted(&self, action: &str) -> usize {
        self.log.iter().flat_map(|batch| &batch.audit).filter(|row| row.action == action).count()
    }
}

/// The result of a future that waits for nothing, as those of a store in memory.
fn ready<T>(mut future: BoxFuture<'_, T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("waits"),
    }
}

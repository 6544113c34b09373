//! The engine: one pure step from state and event to state and effects.
//!
//! ```text
//!   Event --step(now)--> Effects { answer, batch, bells }
//!                          |        |      '-- devices to be told that they should ask
//!                          |        '-- rows to commit before the answer leaves
//!                          '-- what to tell the device or the operator
//! ```

mod chain;
mod fresh;
mod operate;
mod poll;
mod report;
mod view;
mod watch;
mod work;

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ota_manifest::wire::{Poll, Question, Refusal, Report, Stage};
use ota_manifest::{DeviceId, JobId, Order};

pub use fresh::{QUESTION_EVERY_MS, QUESTIONS};
pub use view::{CampaignView, JobView, LiveObject, WaveView};

use crate::audit::AuditHead;
use crate::campaign::CampaignNo;
use crate::clock::UnixMs;
use crate::device::{Device, Devices, JobRef};
use crate::error::CommandError;
use crate::job::JobParts;
use crate::operator::{Actor, Command};
use crate::release::{Release, ReleaseNo};
use crate::state::{JobState, StateColumns};
use crate::store::{Batch, JobEvent, JobRow, Snapshot, StoreError};
use crate::trust::TrustRow;
use work::Work;

/// The name under which the engine's own decisions stand in the audit log.
pub const ENGINE_ACTOR: &str = "engine";

/// How long a device that was told to ask gets before it is told again, milliseconds.
pub const RING_AGAIN_MS: u64 = 60_000;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A device asks for work.
    Poll {
        /// Which one, as authenticated.
        device: DeviceId,
        /// What it says of itself.
        poll: &'a Poll,
    },
    /// A device reports.
    Report {
        /// Which one, as authenticated.
        device: DeviceId,
        /// Its report.
        report: &'a Report,
    },
    /// A device asks for freshness.
    Ask {
        /// Which one, as authenticated.
        device: DeviceId,
        /// Its question.
        question: &'a Question,
    },
    /// An operator wants something.
    Operator {
        /// Who, as authenticated.
        actor: &'a Actor,
        /// What.
        command: Command,
    },
    /// A device was sent a part of an artifact.
    Served {
        /// Which one.
        device: DeviceId,
        /// For which job.
        job: JobId,
        /// How many bytes.
        bytes: u64,
    },
    /// The artifacts and the envelope of a release were proven, or are not what they should be.
    Readiness {
        /// Which release.
        release: ReleaseNo,
        /// Whether it may be offered.
        ready: bool,
        /// What was found, for the audit log.
        detail: &'a str,
    },
    /// Time has passed.
    Tick,
}

/// What a step leads to.
#[derive(Debug, Default)]
pub struct Effects {
    /// What to tell whoever caused the event, after `batch` is committed.
    pub answer: Answer,
    /// Rows to commit.
    pub batch: Batch,
    /// Devices that should ask now, each with the job that waits for it.
    pub bells: Vec<(DeviceId, JobId)>,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answer {
    /// Done; nothing to say.
    #[default]
    Done,
    /// Nothing for this device. The only answer that need not wait for the commit.
    Idle,
    /// A job, new or to be gone on with.
    Offer {
        /// Which job.
        job: JobId,
        /// Which attempt.
        attempt: u8,
        /// Whose envelope to send.
        release: ReleaseNo,
    },
    /// The report is stored.
    Ack {
        /// Its sequence number.
        seq: u32,
    },
    /// The report is stored, and the job is to be given up.
    Cancel {
        /// Which job.
        job: JobId,
    },
    /// What a freshness reply is to say, beside the time.
    Fresh {
        /// Highest order released for the device.
        latest: Order,
        /// Version of the newest trust document, if there is one.
        trust: Option<u32>,
    },
    /// A trust document.
    Trust {
        /// Its version.
        version: u32,
    },
    /// Asked more often than is good for anybody.
    Busy {
        /// Milliseconds to wait.
        retry_after_ms: u32,
    },
    /// The request cannot be served.
    Refused(Refusal),
    /// A release was added.
    Published(ReleaseNo),
    /// A campaign was added.
    Created(CampaignNo),
}

/// Everything a server knows, and the rules.
///
/// ```
/// # use ota_server_core::{Actor, Answer, CampaignNo, Command, Engine, Event, Plan, ReleaseNo, Role, Target, UnixMs, Wave};
/// # use ota_manifest::{DeviceId, Digest};
/// let mut engine = Engine::new();
/// let ann = Actor::new("ann", &[Role::Author]);
/// let device = DeviceId::new([7; 16]);
/// let enrol = Command::Enrol { device, name: "bench".into(), token: Digest::new([0; 32]) };
/// let effects = engine.step(Event::Operator { actor: &ann, command: enrol }, UnixMs(1)).unwrap();
/// assert_eq!(effects.batch.devices.len(), 1);
/// assert_eq!(effects.batch.audit[0].action, "device_enrolled");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Engine {
    devices: Devices,
    releases: BTreeMap<ReleaseNo, Release>,
    ready: BTreeSet<ReleaseNo>,
    withheld: BTreeSet<ReleaseNo>,
    works: BTreeMap<CampaignNo, Work>,
    trust: BTreeMap<u32, TrustRow>,
    /// Until when each device has used up its questions, by index. Not kept: a restart grants them anew.
    asked: BTreeMap<u32, UnixMs>,
    audit: AuditHead,
    changed_devices: BTreeSet<u32>,
    out: Gathered,
}

/// Rows gathered during a step.
#[derive(Debug, Clone, Default)]
struct Gathered {
    batch: Batch,
    bells: Vec<(DeviceId, JobId)>,
}

impl Engine {
    /// An engine that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An engine that goes on where a store left off. Releases are not ready until [`Event::Readiness`] says so.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if rows refer to rows that are not there.
    pub fn load(snapshot: Snapshot) -> Result<Self, StoreError> {
        let mut engine = Self::new();
        engine.audit = snapshot.audit;
        engine.releases = snapshot.releases.into_iter().map(|release| (release.no, release)).collect();
        engine.trust = snapshot.trust.into_iter().map(|row| (row.version, row)).collect();
        for device in snapshot.devices {
            engine.devices.put(device);
        }
        let mut jobs: BTreeMap<CampaignNo, Vec<JobRow>> = BTreeMap::new();
        for row in snapshot.jobs {
            jobs.entry(row.campaign).or_default().push(row);
        }
        for campaign in snapshot.campaigns {
            let rows = jobs.remove(&campaign.no).unwrap_or_default();
            let no = campaign.no;
            let mut work = Work::new(campaign);
            work.fill(engine.seat(no, rows)?);
            engine.works.insert(no, work);
        }
        if jobs.is_empty() {
            Ok(engine)
        } else {
            Err(StoreError::Unreadable("jobs without a campaign".into()))
        }
    }

    fn seat(
        &mut self,
        campaign: CampaignNo,
        mut rows: Vec<JobRow>,
    ) -> Result<Vec<(u64, crate::job::Job)>, StoreError> {
        rows.sort_by_key(|row| row.rank);
        let mut seated = Vec::with_capacity(rows.len());
        for (rank, row) in (0u32..).zip(rows) {
            let device = self.devices.index(row.device).filter(|_| row.rank == rank);
            let device = device.ok_or_else(|| StoreError::Unreadable(format!("job {}", row.id)))?;
            self.devices.add_job(device, JobRef { campaign, rank });
            let mut job = row.job;
            job.device = device;
            seated.push((JobParts::of(row.id).cohort, job));
        }
        Ok(seated)
    }

    /// Takes one event in. `now` never goes back in a well-kept server; if it does, waiting takes longer.
    ///
    /// # Errors
    /// [`CommandError`] for what an operator asked and may not have; nothing has changed then. Device events and ticks
    /// do not fail.
    pub fn step(&mut self, event: Event<'_>, now: UnixMs) -> Result<Effects, CommandError> {
        let answer = match event {
            Event::Poll { device, poll } => self.on_poll(device, poll, now),
            Event::Report { device, report } => self.on_report(device, report, now),
            Event::Ask { device, question } => self.on_ask(device, question, now),
            Event::Served { device, job, bytes } => self.on_served(device, job, bytes),
            Event::Operator { actor, command } => self.on_command(actor, command, now)?,
            Event::Readiness { release, ready, detail } => self.on_readiness(release, ready, detail, now),
            Event::Tick => self.on_tick(now),
        };
        self.gather_changes();
        let Gathered { batch, bells } = core::mem::take(&mut self.out);
        Ok(Effects { answer, batch, bells })
    }

    fn on_readiness(&mut self, release: ReleaseNo, ready: bool, detail: &str, now: UnixMs) -> Answer {
        let (to, from) =
            if ready { (&mut self.ready, &mut self.withheld) } else { (&mut self.withheld, &mut self.ready) };
        from.remove(&release);
        if to.insert(release) {
            let action = if ready { "release_proven" } else { "release_withheld" };
            self.note(now, ENGINE_ACTOR, action, format!("release {release}"), detail.into());
        }
        Answer::Done
    }

    fn note(&mut self, now: UnixMs, actor: &str, action: &str, subject: String, detail: String) {
        let row = self.audit.add(now, actor, action, subject, detail);
        self.out.batch.audit.push(row);
    }

    fn note_campaign(&mut self, now: UnixMs, actor: &str, action: &str, no: CampaignNo, detail: String) {
        self.note(now, actor, action, format!("campaign {no}"), detail);
    }

    /// Writes a timeline row for something the server did.
    fn record(&mut self, at: JobRef, what: &'static str, now: UnixMs) {
        let state = self.works.get(&at.campaign).and_then(|work| work.job(at.rank)).map(|job| job.state);
        let columns = state.filter(|state| state.kind().name() == what).map(|state| state.columns());
        self.record_row(at, now, Row { what, columns, ..Row::default() });
    }

    /// Writes a timeline row for a report.
    fn record_report(&mut self, at: JobRef, report: &Report, late: bool, now: UnixMs) {
        let state = JobState::from(report.stage);
        let progress =
            if let Stage::Downloading { done, total } = report.stage { Some((done, total)) } else { None };
        let of = Some((report.attempt, report.seq));
        self.record_row(
            at,
            now,
            Row { what: state.kind().name(), columns: Some(state.columns()), progress, late, of },
        );
    }

    fn record_row(&mut self, at: JobRef, now: UnixMs, row: Row) {
        let Some(work) = self.works.get_mut(&at.campaign) else { return };
        let (Some(parts), Some(job)) = (work.parts(at.rank), work.job(at.rank)) else { return };
        let Some(device) = self.devices.get(job.device) else { return };
        let attempt = row.of.map_or(job.attempt, |(attempt, _)| attempt);
        if work.change(at.rank, crate::job::Job::may_record) != Some(true) {
            return;
        }
        let columns = row.columns;
        self.out.batch.events.push(JobEvent {
            job: parts.id(),
            campaign: at.campaign,
            device: device.id,
            at: now,
            attempt,
            seq: row.of.map(|(_, seq)| seq),
            what: Cow::Borrowed(row.what),
            late: row.late,
            done: row.progress.map(|(done, _)| done),
            total: row.progress.map(|(_, total)| total),
            reason: columns.and_then(|columns| columns.reason).map(Cow::Borrowed),
            cause: columns.and_then(|columns| columns.cause).map(Cow::Borrowed),
            boots: columns.and_then(|columns| columns.boots),
            code: columns.and_then(|columns| columns.code),
            probes: columns.and_then(|columns| columns.probes),
        });
    }

    /// Turns what changed into rows.
    fn gather_changes(&mut self) {
        for index in core::mem::take(&mut self.changed_devices) {
            self.out.batch.devices.extend(self.devices.get(index).cloned());
        }
        for work in self.works.values_mut() {
            let (campaign, ranks) = work.take_changes();
            if campaign {
                self.out.batch.campaigns.push(work.campaign.clone());
            }
            for rank in ranks {
                self.out.batch.jobs.extend(job_row(&self.devices, work, rank));
            }
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Row {
    what: &'static str,
    columns: Option<StateColumns>,
    progress: Option<(u32, u32)>,
    late: bool,
    /// Attempt and sequence of the report, if it is one.
    of: Option<(u8, u32)>,
}

fn job_row(devices: &Devices, work: &Work, rank: u32) -> Option<JobRow> {
    let job = work.job(rank)?;
    let device: &Device = devices.get(job.device)?;
    Some(JobRow {
        id: work.parts(rank)?.id(),
        campaign: work.campaign.no,
        rank,
        device: device.id,
        wave: work.wave_of(rank),
        job: job.clone(),
    })
}

//! The one place that judges: counts from the server's store and the devices' logs, as anybody can again.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use device_sim::{Happening, Line, WINDOW_BYTES, read_log};
use ota_server_core::store::{SqliteStore, Store as _};
use ota_server_core::{CampaignNo, CampaignState, JobKind, JobRow, Snapshot, UnixMs};
use serde::Serialize;

use crate::cast::server_dir;

/// Bytes of one chunk of the simulated devices' images.
const CHUNK: u64 = 4096;
const GOOD: CampaignNo = CampaignNo(1);
const BAD: CampaignNo = CampaignNo(2);

/// What happened, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Devices that took part.
    pub devices: u64,
    /// Jobs of 1.1.0 that ended confirmed.
    pub confirmed: u64,
    /// Jobs of 1.2.0 that ended rolled back.
    pub rolled_back: u64,
    /// Whether the campaign of 1.2.0 halted.
    pub halted: bool,
    /// Times a device asked and got nothing after the halt.
    pub polls_after_halt: u64,
    /// Offers of 1.2.0 that left the server after the halt, or reached anybody but those that rolled back.
    pub offered_after_halt: u64,
    /// Manifests refused because no trusted key signed them.
    pub refused_foreign: u64,
    /// Manifests refused because they are not newer.
    pub refused_old: u64,
    /// Chunks refused because they do not match the manifest.
    pub refused_tampered: u64,
    /// Times the power of a device failed.
    pub power_cuts: u64,
    /// Downloads that went on with what the flash held.
    pub resumed: u64,
    /// Bytes those downloads fetched a second time.
    pub refetched_bytes: u64,
    /// Bytes of images and leaf lists that reached devices.
    pub bytes_served: u64,
    /// From the first line of a device's log to the last, milliseconds.
    pub elapsed_ms: u64,
    /// What the figures alone do not show.
    #[serde(skip)]
    pub evidence: Evidence,
}

/// Findings that are judged and not printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Reasons that devices gave for rolling back.
    pub rollback_reasons: BTreeSet<String>,
    /// Fewest polls in vain of any device that was not offered the bad release.
    pub fewest_polls_after_halt: Option<u32>,
    /// Power cuts after which the device came up in a trial.
    pub cuts_in_trial: u64,
    /// Bytes of objects by the server's own count.
    pub served_by_store: u64,
    /// Devices that were offered 1.1.0 and confirmed it, rather than having had it before.
    pub confirmed_by_report: u64,
}

/// Counts what is left in the folder of a run.
///
/// # Errors
/// If the store or a log cannot be read.
pub fn judge(dir: &Path, devices: usize) -> Result<Figures> {
    let store = Store::read(dir)?;
    let logs = (0..devices)
        .map(|number| read_log(&dir.join("devices").join(format!("{number:04}"))))
        .collect::<Result<Vec<_>>>()?;
    ensure!(!logs.is_empty(), "no device left a log");
    let count = |matches: fn(&Happening) -> bool| {
        logs.iter().flatten().filter(|line| matches(&line.what)).count() as u64
    };
    let refused = |wanted: &str| {
        let lines = logs.iter().flatten();
        lines
            .filter(|line| matches!(&line.what, Happening::Refused { refusal, .. } if refusal == wanted))
            .count() as u64
    };
    let times = || logs.iter().flatten().map(|line| line.at_ms);
    Ok(Figures {
        devices: devices as u64,
        confirmed: store.count(GOOD, JobKind::Confirmed),
        rolled_back: store.count(BAD, JobKind::RolledBack),
        halted: store.halted_at.is_some(),
        polls_after_halt: store.polls_after_halt(&logs),
        offered_after_halt: store.offered_after_halt(&logs),
        refused_foreign: refused("Unauthentic"),
        refused_old: refused("NotNewer"),
        refused_tampered: count(|what| matches!(what, Happening::ChunkRefused { .. })),
        power_cuts: count(|what| matches!(what, Happening::PowerCut)),
        resumed: count(|what| matches!(what, Happening::Resumed { .. })),
        refetched_bytes: logs.iter().map(|log| refetched(log)).sum(),
        bytes_served: logs.iter().flatten().map(|line| fetched(line).map_or(0, |(_, _, bytes)| bytes)).sum(),
        elapsed_ms: times().max().unwrap_or(0) - times().min().unwrap_or(0),
        evidence: store.evidence(&logs),
    })
}

impl Figures {
    /// Whether it was as it should.
    ///
    /// # Errors
    /// The first expectation that was not met, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        let others = self.devices - 1;
        let bound = self.resumed * WINDOW_BYTES as u64;
        let expectations = [
            (
                self.confirmed == self.devices,
                format!("{} of {} devices confirmed 1.1.0", self.confirmed, self.devices),
            ),
            (self.rolled_back >= 1, "no device rolled back from 1.2.0".to_owned()),
            (self.halted, "the campaign of 1.2.0 did not halt".to_owned()),
            (
                self.polls_after_halt >= 2 * others,
                format!("only {} polls after the halt", self.polls_after_halt),
            ),
            (self.offered_after_halt == 0, format!("{} offers after the halt", self.offered_after_halt)),
            (self.refused_foreign >= 1, "the forged manifest was not refused".to_owned()),
            (self.refused_old >= 1, "the old manifest was not refused".to_owned()),
            (self.refused_tampered >= 1, "the damaged chunk was not refused".to_owned()),
            (self.power_cuts == 2, format!("{} power cuts instead of 2", self.power_cuts)),
            (self.resumed >= 1, "no download was resumed".to_owned()),
            (
                self.refetched_bytes <= bound,
                format!("{} bytes fetched again, {bound} allowed", self.refetched_bytes),
            ),
            (self.bytes_served > 0, "nothing was served".to_owned()),
        ];
        match expectations.into_iter().find(|(met, _)| !met) {
            Some((_, unmet)) => Err(unmet),
            None => self.evidence.check(self),
        }
    }
}

impl Evidence {
    fn check(&self, figures: &Figures) -> Result<(), String> {
        let expectations = [
            (
                self.confirmed_by_report == figures.devices,
                format!("{} devices confirmed by a report", self.confirmed_by_report),
            ),
            (
                self.rollback_reasons.iter().eq(["SelfTest"]),
                format!("rollback reasons {:?} instead of the self-test", self.rollback_reasons),
            ),
            (
                self.fewest_polls_after_halt.is_none_or(|polls| polls >= 2),
                format!("a device asked only {:?} times after the halt", self.fewest_polls_after_halt),
            ),
            (
                self.cuts_in_trial == 1,
                format!("{} power cuts between pending and confirm", self.cuts_in_trial),
            ),
            (
                // What a cut-off answer carried was sent and not received.
                self.served_by_store >= figures.bytes_served,
                format!("devices got more bytes than the {} the server counted", self.served_by_store),
            ),
        ];
        match expectations.into_iter().find(|(met, _)| !met) {
            Some((_, unmet)) => Err(unmet),
            None => Ok(()),
        }
    }
}

/// What the server's store says.
struct Store {
    rows: Snapshot,
    halted_at: Option<UnixMs>,
    /// Offers of the bad release that were made after the halt.
    late_offers: u64,
    /// Jobs of the good release whose device reported its confirmation.
    confirmed_by_report: u64,
}

impl Store {
    fn read(dir: &Path) -> Result<Self> {
        let path = server_dir(dir).join("ota.sqlite");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let store = SqliteStore::open(&path).await.context("the server's store cannot be opened")?;
            let rows = store.load().await?;
            let bad = rows.campaigns.iter().find(|campaign| campaign.no == BAD);
            let halted_at =
                bad.filter(|c| matches!(c.state, CampaignState::Halted { .. })).and_then(|c| c.halted);
            let (mut late_offers, mut confirmed_by_report) = (0, 0);
            for row in &rows.jobs {
                let events = store.timeline(row.id).await?;
                let happened = |what: &'static str| events.iter().filter(move |event| event.what == what);
                if row.campaign == GOOD {
                    confirmed_by_report += u64::from(happened("confirmed").any(|event| event.seq.is_some()));
                } else {
                    let offers = happened("offered").chain(happened("resumed"));
                    late_offers +=
                        offers.filter(|event| halted_at.is_some_and(|halt| event.at > halt)).count() as u64;
                }
            }
            store.close().await;
            Ok(Self { rows, halted_at, late_offers, confirmed_by_report })
        })
    }

    fn evidence(&self, logs: &[Vec<Line>]) -> Evidence {
        let lines = || logs.iter().flatten();
        let reasons = lines().filter_map(|line| match &line.what {
            Happening::RolledBack { reason, .. } => Some(reason.clone()),
            _ => None,
        });
        let cuts =
            logs.iter().flat_map(|log| log.iter().enumerate().map(move |(at, line)| (line, &log[at..])));
        let cuts_in_trial = cuts
            .filter(|(line, rest)| line.what == Happening::PowerCut && boots_on_trial(rest))
            .count() as u64;
        let untouched = self.jobs(BAD).filter(|row| row.job.kind() != JobKind::RolledBack);
        Evidence {
            rollback_reasons: reasons.collect(),
            fewest_polls_after_halt: untouched.map(|row| row.job.turned_away).min(),
            cuts_in_trial,
            served_by_store: self.rows.jobs.iter().map(|row| row.job.served).sum(),
            confirmed_by_report: self.confirmed_by_report,
        }
    }

    fn jobs(&self, campaign: CampaignNo) -> impl Iterator<Item = &JobRow> {
        self.rows.jobs.iter().filter(move |row| row.campaign == campaign)
    }

    fn count(&self, campaign: CampaignNo, kind: JobKind) -> u64 {
        self.jobs(campaign).filter(|row| row.job.kind() == kind).count() as u64
    }

    fn polls_after_halt(&self, logs: &[Vec<Line>]) -> u64 {
        let Some(halt) = self.halted_at else { return 0 };
        let after = logs.iter().flatten().filter(|line| line.at_ms > halt.0);
        after.filter(|line| matches!(&line.what, Happening::Poll { answer } if answer == "idle")).count()
            as u64
    }

    /// By the store, and by what devices saw: nobody but those that rolled back ever heard of a job of the bad release.
    fn offered_after_halt(&self, logs: &[Vec<Line>]) -> u64 {
        let untouched: BTreeSet<String> = self
            .jobs(BAD)
            .filter(|row| row.job.kind() != JobKind::RolledBack)
            .map(|row| row.id.to_string())
            .collect();
        let seen = logs
            .iter()
            .flatten()
            .filter(|line| matches!(&line.what, Happening::Offered { job, .. } if untouched.contains(job)));
        self.late_offers + seen.count() as u64
    }
}

/// Whether a device came up in a trial right after this line.
fn boots_on_trial(rest: &[Line]) -> bool {
    let next = rest.iter().find_map(|line| match &line.what {
        Happening::Boot { state, .. } => Some(state == "Trial"),
        _ => None,
    });
    next == Some(true)
}

/// Job, first chunk and bytes of a line that tells of an object's arrival.
fn fetched(line: &Line) -> Option<(&str, u32, u64)> {
    match &line.what {
        Happening::Fetched { job, first, bytes, .. } => Some((job, *first, *bytes as u64)),
        _ => None,
    }
}

/// Payload bytes that a device with a resumed download fetched twice. What it fetched again because it was damaged on the
/// way is not the resumption's doing.
fn refetched(log: &[Line]) -> u64 {
    let Some(at) = log.iter().position(|line| matches!(line.what, Happening::Resumed { .. })) else {
        return 0;
    };
    let job = log[..at].iter().rev().find_map(|line| match &line.what {
        Happening::Offered { job, .. } => Some(job.as_str()),
        _ => None,
    });
    let (mut held, mut again) = (BTreeSet::new(), 0);
    for line in log {
        match &line.what {
            Happening::Fetched { object, .. } if object == "payload" => {
                let Some((_, first, bytes)) = fetched(line).filter(|(of, ..)| Some(*of) == job) else {
                    continue;
                };
                for chunk in 0..bytes.div_ceil(CHUNK) {
                    let len = CHUNK.min(bytes - chunk * CHUNK);
                    again += if held.insert(u64::from(first) + chunk) { 0 } else { len };
                }
            }
            Happening::ChunkRefused { chunk } => {
                held.remove(&u64::from(*chunk));
            }
            _ => {}
        }
    }
    again
}

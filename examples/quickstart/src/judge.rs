//! The one place that judges: counts from the server's store and the devices' logs, as anybody can again.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use device_sim::{Happening, Line, WINDOW_BYTES, read_log};
use ota_server_core::store::{SqliteStore, Store as _};
use ota_server_core::{CampaignNo, CampaignState, JobKind, JobRow, Snapshot, UnixMs};
use serde::Serialize;

use crate::cast::{device_dir, server_dir};
use crate::folder;
use crate::refetch::{fetched_bytes, refetched};

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
    /// Devices that a freshness key has told the time.
    pub told_time: u64,
    /// Times the power of a device failed.
    pub power_cuts: u64,
    /// Times an update that had begun went on after it was cut off.
    pub resumed: u64,
    /// Bytes that were fetched for an update before it was cut off and again after.
    pub refetched_bytes: u64,
    /// Bytes of images and leaf lists that reached devices.
    pub bytes_served: u64,
    /// From the first line of a device's log to the last, milliseconds.
    pub elapsed_ms: u64,
    /// Devices whose bell rang before they were first offered anything. Only of a play with a bell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notified: Option<u64>,
    /// Times a device asked, and got nothing, before it was first offered anything. Only of a play with a bell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polls_before_offer: Option<u64>,
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
    /// Processes that played in the folder; all but the last were killed or interrupted.
    pub runs: u32,
}

/// Counts what is left in the folder of a run.
///
/// # Errors
/// If the store or a log cannot be read.
pub fn judge(dir: &Path, devices: usize) -> Result<Figures> {
    let (store, logs) = (Store::read(dir)?, logs(dir, devices)?);
    ensure!(logs.iter().any(|log| !log.is_empty()), "no device left a log");
    let count = |matches: fn(&Happening) -> bool| {
        logs.iter().flatten().filter(|line| matches(&line.what)).count() as u64
    };
    let refused = |wanted: &str| {
        let lines = logs.iter().flatten();
        lines
            .filter(|line| matches!(&line.what, Happening::Refused { refusal, .. } if refusal == wanted))
            .count() as u64
    };
    let has_bell = folder::has_bell(dir)?;
    let times = || logs.iter().flatten().map(|line| line.at_ms);
    Ok(Figures {
        devices: devices as u64,
        confirmed: store.count(GOOD, JobKind::Confirmed),
        rolled_back: store.count(BAD, JobKind::RolledBack),
        halted: store.halted_at.is_some(),
        polls_after_halt: polls_after(store.halted_at.map(|at| at.0), &logs),
        offered_after_halt: store.offered_after_halt(&logs),
        refused_foreign: refused("Unauthentic"),
        refused_old: refused("NotNewer"),
        refused_tampered: count(|what| matches!(what, Happening::ChunkRefused { .. })),
        told_time: logs.iter().filter(|log| log.iter().any(|line| is_told_the_time(&line.what))).count()
            as u64,
        power_cuts: count(|what| matches!(what, Happening::PowerCut { .. })),
        resumed: count(|what| matches!(what, Happening::Resumed { .. })),
        refetched_bytes: logs.iter().map(|log| refetched(log)).sum(),
        bytes_served: logs.iter().flatten().map(fetched_bytes).sum(),
        elapsed_ms: times().max().unwrap_or(0) - times().min().unwrap_or(0),
        notified: has_bell.then(|| logs.iter().filter(|log| before_offer(log, is_rung) > 0).count() as u64),
        polls_before_offer: has_bell.then(|| logs.iter().map(|log| before_offer(log, is_poll_in_vain)).sum()),
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
            (
                self.told_time == self.devices,
                format!("{} of {} devices were told the time", self.told_time, self.devices),
            ),
            (self.power_cuts == 2, format!("{} power cuts instead of 2", self.power_cuts)),
            (self.resumed >= 1, "no download was resumed".to_owned()),
            (
                self.refetched_bytes <= bound,
                format!("{} bytes fetched again, {bound} allowed", self.refetched_bytes),
            ),
            (self.bytes_served > 0, "nothing was served".to_owned()),
            (
                self.notified.is_none_or(|notified| notified == self.devices),
                format!("{} of {} devices were rung for", self.notified.unwrap_or(0), self.devices),
            ),
            (
                self.polls_before_offer.is_none_or(|polls| polls == 0),
                format!("{} polls in vain before the first offer", self.polls_before_offer.unwrap_or(0)),
            ),
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
                format!(
                    "a device asked only {} times after the halt",
                    self.fewest_polls_after_halt.unwrap_or(0)
                ),
            ),
            (
                self.cuts_in_trial == 1,
                format!("{} power cuts between pending and confirm", self.cuts_in_trial),
            ),
            (
                // What a cut-off answer carried was sent and not received. The server writes its count when it ticks, so
                // what it had served since was lost whenever it was killed: then the comparison says nothing.
                self.runs > 1 || self.served_by_store >= figures.bytes_served,
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
    runs: u32,
}

impl Store {
    fn read(dir: &Path) -> Result<Self> {
        let runs = folder::runs(dir)?;
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
            Ok(Self { rows, halted_at, late_offers, confirmed_by_report, runs })
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
            .filter(|(line, rest)| matches!(line.what, Happening::PowerCut { .. }) && boots_on_trial(rest))
            .count() as u64;
        let untouched = self.jobs(BAD).filter(|row| row.job.kind() != JobKind::RolledBack);
        Evidence {
            rollback_reasons: reasons.collect(),
            fewest_polls_after_halt: untouched.map(|row| row.job.turned_away).min(),
            cuts_in_trial,
            served_by_store: self.rows.jobs.iter().map(|row| row.job.served).sum(),
            confirmed_by_report: self.confirmed_by_report,
            runs: self.runs,
        }
    }

    fn jobs(&self, campaign: CampaignNo) -> impl Iterator<Item = &JobRow> {
        self.rows.jobs.iter().filter(move |row| row.campaign == campaign)
    }

    fn count(&self, campaign: CampaignNo, kind: JobKind) -> u64 {
        self.jobs(campaign).filter(|row| row.job.kind() == kind).count() as u64
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

/// What the devices say, each in its log.
pub(crate) fn logs(dir: &Path, devices: usize) -> Result<Vec<Vec<Line>>> {
    (0..devices).map(|number| read_log(&device_dir(dir, number))).collect()
}

fn is_rung(what: &Happening) -> bool {
    *what == Happening::Rung
}

fn is_told_the_time(what: &Happening) -> bool {
    matches!(what, Happening::Fresh { .. })
}

fn is_poll_in_vain(what: &Happening) -> bool {
    matches!(what, Happening::Poll { answer } if answer == "idle")
}

/// Lines of a device before it was first offered anything.
fn before_offer(log: &[Line], matches: fn(&Happening) -> bool) -> u64 {
    let before = log.iter().take_while(|line| !matches!(line.what, Happening::Offered { .. }));
    before.filter(|line| matches(&line.what)).count() as u64
}

/// Times a device asked and got nothing after the halt.
pub(crate) fn polls_after(halted_ms: Option<u64>, logs: &[Vec<Line>]) -> u64 {
    let Some(halt) = halted_ms else { return 0 };
    let after = logs.iter().flatten().filter(|line| line.at_ms > halt);
    after.filter(|line| is_poll_in_vain(&line.what)).count() as u64
}

/// Whether a device came up in a trial right after this line.
fn boots_on_trial(rest: &[Line]) -> bool {
    let next = rest.iter().find_map(|line| match &line.what {
        Happening::Boot { state, .. } => Some(state == "Trial"),
        _ => None,
    });
    next == Some(true)
}

//! Counting.

use std::collections::BTreeMap;

use ota_agent::sim::Mishaps;
use ota_slots::Strategy;
use serde_json::{Map, Value, json};

use crate::life::Outcome;
use crate::scenario::Kind;
use crate::witness::{Fault, Finding};

/// Failures that are told in full.
const TOLD: usize = 10;

/// What many lives came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lives, each over a link that loses something.
    pub lives: u64,
    /// Resets in them.
    pub reboots: u64,
    /// Lives in which every job ended and the device was quiet.
    pub finished: u64,
    /// Outputs of agents.
    pub outputs: u64,
    /// Virtual time, ms.
    pub virtual_ms: u64,
    /// The most that was fetched again because of one reset: of downloads that went on (0) and that began anew (1), by what
    /// may be, bytes.
    pub refetched: BTreeMap<(u8, u32), u32>,
    /// Jobs of each kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// What happened to packets, both ways.
    pub mishaps: Mishaps,
    /// Lives by what became of new images.
    pub strategies: BTreeMap<&'static str, u64>,
    /// Power failures in the bootloader.
    pub cut_boots: u64,
    /// Lives in which the journal was lost while a job was under way.
    pub lost_journals: u64,
    /// Lives in which the server forgot how a job had ended.
    pub restored: u64,
    /// Lives of devices that keep trust documents and ask what time it is.
    pub asking: u64,
    /// Questions sent, replies believed and documents adopted.
    pub asked: [u64; 3],
    /// From the first offer of a job to its end, of all jobs together, ms, and jobs: of devices that ask no questions, and of
    /// those that do.
    pub jobs_ms: [(u64, u64); 2],
    faults: BTreeMap<Fault, u64>,
    failures: Vec<(u64, Finding)>,
}

impl Tally {
    /// Counts the life of this seed.
    pub fn count(&mut self, seed: u64, outcome: &Outcome) {
        self.lives += 1;
        self.reboots += u64::from(outcome.reboots);
        self.finished += u64::from(outcome.finished);
        self.outputs += u64::from(outcome.outputs);
        self.virtual_ms += outcome.took_ms;
        for (kind, (most, bound)) in (0..).zip(outcome.refetched) {
            let known = self.refetched.entry((kind, bound)).or_default();
            *known = most.max(*known);
        }
        *self.strategies.entry(name_of(outcome.strategy)).or_default() += 1;
        self.cut_boots += u64::from(outcome.cut_boots);
        self.lost_journals += u64::from(outcome.lost_journal);
        self.restored += u64::from(outcome.restored);
        self.asking += u64::from(outcome.keeps_trust);
        self.asked.iter_mut().zip(outcome.asked).for_each(|(sum, more)| *sum += u64::from(more));
        let (ms, jobs) = &mut self.jobs_ms[usize::from(outcome.keeps_trust)];
        *ms += outcome.jobs_ms;
        *jobs += outcome.kinds.len() as u64;
        outcome.kinds.iter().for_each(|kind| *self.kinds.entry(*kind).or_default() += 1);
        outcome.mishaps.iter().for_each(|mishaps| add(&mut self.mishaps, mishaps));
        self.blame(seed, &outcome.findings);
    }

    /// Counts a life that ended in a panic.
    pub fn count_panic(&mut self, seed: u64, message: String) {
        self.lives += 1;
        self.blame(seed, &[Finding { fault: Fault::Panicked, detail: message }]);
    }

    fn blame(&mut self, seed: u64, findings: &[Finding]) {
        for fault in Fault::ALL.into_iter().filter(|fault| findings.iter().any(|found| found.fault == *fault))
        {
            *self.faults.entry(fault).or_default() += 1;
        }
        if let Some(first) = findings.first()
            && self.failures.len() < TOLD
        {
            self.failures.push((seed, first.clone()));
        }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.reboots += other.reboots;
        self.finished += other.finished;
        self.outputs += other.outputs;
        self.virtual_ms += other.virtual_ms;
        for (bound, most) in other.refetched {
            let known = self.refetched.entry(bound).or_default();
            *known = most.max(*known);
        }
        for (strategy, count) in other.strategies {
            *self.strategies.entry(strategy).or_default() += count;
        }
        self.cut_boots += other.cut_boots;
        self.lost_journals += other.lost_journals;
        self.restored += other.restored;
        self.asking += other.asking;
        self.asked.iter_mut().zip(other.asked).for_each(|(sum, more)| *sum += more);
        for ((ms, jobs), more) in self.jobs_ms.iter_mut().zip(other.jobs_ms) {
            (*ms, *jobs) = (*ms + more.0, *jobs + more.1);
        }
        other.kinds.into_iter().for_each(|(kind, count)| *self.kinds.entry(kind).or_default() += count);
        other.faults.into_iter().for_each(|(fault, count)| *self.faults.entry(fault).or_default() += count);
        add(&mut self.mishaps, &other.mishaps);
        let room = TOLD.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
    }

    /// Lives with this fault.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or(0)
    }

    /// Broken promises, all kinds together.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.faults.values().sum()
    }

    /// The first few failures: seed and what was wrong first.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        self.failures.iter().map(|(seed, finding)| {
            format!("{}: {}; again: agent-proof replay {seed}", finding.fault.name(), finding.detail)
        })
    }

    /// One JSON object. Bytes fetched again: of downloads that went on, on the board that came closest to what it may.
    #[must_use]
    pub fn figures(&self, seconds: f64) -> Map<String, Value> {
        let most = |kind: u8| self.refetched.iter().filter(move |((of, _), _)| *of == kind);
        let closest = most(0).max_by_key(|((_, bound), most)| i64::from(**most) - i64::from(*bound));
        let (bound, refetched) = closest.map_or((0, 0), |((_, bound), most)| (*bound, *most));
        let mut figures = Map::new();
        figures.insert("lossy_runs".into(), self.lives.into());
        figures.insert("reboots".into(), self.reboots.into());
        figures.insert("finished".into(), self.finished.into());
        figures.insert("refetched_bytes_max".into(), refetched.into());
        figures.insert("window_pages_bytes".into(), bound.into());
        for fault in Fault::ALL {
            figures.insert(fault.name().into(), self.of(fault).into());
        }
        let anew = most(1).map(|((_, bound), most)| (bound.to_string(), json!(most))).collect();
        figures.insert("refetched_bytes_max_of_downloads_begun_anew_by_bound".into(), Value::Object(anew));
        figures.insert("outputs".into(), self.outputs.into());
        figures.insert("virtual_days".into(), (self.virtual_ms / (24 * 3600 * 1000)).into());
        let packets = self.mishaps;
        figures.insert("packets".into(), packets.sent.into());
        for (name, count) in [
            ("lost", packets.lost),
            ("doubled", packets.doubled),
            ("damaged", packets.damaged),
            ("split", packets.split),
            ("late", packets.late),
            ("overtaken", packets.overtaken),
        ] {
            figures.insert(format!("packets_{name}"), count.into());
        }
        figures.insert("strategies".into(), json!(self.strategies));
        figures.insert("power_failures_in_the_bootloader".into(), self.cut_boots.into());
        figures.insert("journals_lost_under_way".into(), self.lost_journals.into());
        figures.insert("servers_restored".into(), self.restored.into());
        figures.insert("lives_with_questions".into(), self.asking.into());
        let [questions, believed, adopted] = self.asked;
        figures.insert("questions".into(), questions.into());
        figures.insert("replies_believed".into(), believed.into());
        figures.insert("documents_adopted".into(), adopted.into());
        let [without, with] = self.jobs_ms.map(|(ms, jobs)| ms / jobs.max(1) / 1000);
        figures.insert("seconds_of_a_job_mean".into(), without.into());
        figures.insert("seconds_of_a_job_mean_with_questions".into(), with.into());
        let kinds: Map<String, Value> =
            self.kinds.iter().map(|(kind, count)| (format!("{kind:?}"), json!(count))).collect();
        figures.insert("jobs".into(), kinds.into());
        figures.insert("seconds".into(), json!((seconds * 10.0).round() / 10.0));
        figures
    }
}

const fn name_of(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::DirectXip => "direct_xip",
        Strategy::SwapOffset => "swap_offset",
        Strategy::Overwrite => "overwrite",
    }
}

fn add(sum: &mut Mishaps, more: &Mishaps) {
    sum.sent += more.sent;
    sum.lost += more.lost;
    sum.doubled += more.doubled;
    sum.damaged += more.damaged;
    sum.split += more.split;
    sum.late += more.late;
    sum.overtaken += more.overtaken;
}

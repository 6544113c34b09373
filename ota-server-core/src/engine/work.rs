//! A campaign at work: its jobs by rank and the counters over them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use crate::campaign::{Campaign, CampaignState};
use crate::clock::UnixMs;
use crate::engine::RING_AGAIN_MS;
use crate::job::{Job, JobParts};
use crate::rollout::{Tally, reach};
use crate::state::JobKind;

/// Jobs looked at in one search for devices to ring.
const MAX_BELL_SEARCH: u32 = 1024;

/// A campaign and its jobs. Every change of a job goes through [`Work::change`], which keeps the counters.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) campaign: Campaign,
    jobs: Vec<Job>,
    cohorts: Vec<u64>,
    reach: Vec<u32>,
    waves: Vec<Tally>,
    total: Tally,
    in_flight: BTreeSet<u32>,
    changed_jobs: BTreeSet<u32>,
    changed: bool,
    /// Devices that were told to ask and have not yet, and when they were told.
    ringing: Vec<(u32, UnixMs)>,
    /// Where the search for devices to ring goes on.
    bell: u32,
    /// Devices that were offered a job and have not accepted it, and when this process told them last.
    told: BTreeMap<u32, UnixMs>,
    /// Devices that hold a job and asked in vain, because the campaign was held or its release did not prove.
    put_off: BTreeSet<u32>,
}

impl Work {
    pub(crate) fn new(campaign: Campaign) -> Self {
        Self {
            campaign,
            jobs: Vec::new(),
            cohorts: Vec::new(),
            reach: Vec::new(),
            waves: Vec::new(),
            total: Tally::default(),
            in_flight: BTreeSet::new(),
            changed_jobs: BTreeSet::new(),
            changed: false,
            ringing: Vec::new(),
            bell: 0,
            told: BTreeMap::new(),
            put_off: BTreeSet::new(),
        }
    }

    /// Gives the campaign its jobs, in the order of their ranks, each with its cohort number.
    pub(crate) fn fill(&mut self, jobs: Vec<(u64, Job)>) {
        let members = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        self.reach = reach(&self.campaign.plan.waves, members);
        self.waves = vec![Tally::default(); self.reach.len()];
        for (rank, (cohort, job)) in (0u32..).zip(jobs) {
            let (kind, wave) = (job.kind(), self.wave_of(rank));
            if let Some(tally) = self.waves.get_mut(usize::from(wave)) {
                tally.add(kind);
            }
            self.total.add(kind);
            if kind.is_in_flight() {
                self.in_flight.insert(rank);
            }
            // Whom an earlier process put off is written nowhere. A bell too many does no harm.
            if kind.is_reversible() {
                self.put_off.insert(rank);
            }
            self.cohorts.push(cohort);
            self.jobs.push(job);
        }
    }

    pub(crate) fn job(&self, rank: u32) -> Option<&Job> {
        self.jobs.get(rank as usize)
    }

    pub(crate) fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    pub(crate) fn parts(&self, rank: u32) -> Option<JobParts> {
        let cohort = *self.cohorts.get(rank as usize)?;
        Some(JobParts { campaign: self.campaign.no, rank, cohort })
    }

    /// The wave that reaches `rank`.
    pub(crate) fn wave_of(&self, rank: u32) -> u16 {
        let wave = self.reach.partition_point(|reach| *reach <= rank);
        u16::try_from(wave).unwrap_or(u16::MAX)
    }

    /// How many devices `wave` reaches.
    pub(crate) fn reach_of(&self, wave: u16) -> u32 {
        self.reach.get(usize::from(wave)).copied().unwrap_or(0)
    }

    pub(crate) fn is_last(&self, wave: u16) -> bool {
        usize::from(wave) + 1 >= self.reach.len()
    }

    pub(crate) fn total(&self) -> &Tally {
        &self.total
    }

    /// Counters of the devices that `wave` added.
    pub(crate) fn wave(&self, wave: u16) -> Tally {
        self.waves.get(usize::from(wave)).copied().unwrap_or_default()
    }

    pub(crate) fn in_flight(&self) -> &BTreeSet<u32> {
        &self.in_flight
    }

    /// Devices that may still be offered a job now.
    pub(crate) fn room(&self) -> u32 {
        let used = u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX);
        self.campaign.plan.max_in_flight.saturating_sub(used)
    }

    /// Changes a job and keeps the counters.
    pub(crate) fn change<R>(&mut self, rank: u32, change: impl FnOnce(&mut Job) -> R) -> Option<R> {
        let wave = usize::from(self.wave_of(rank));
        let job = self.jobs.get_mut(rank as usize)?;
        let before = job.kind();
        let result = change(job);
        let after = job.kind();
        self.changed_jobs.insert(rank);
        if before != after {
            if let Some(tally) = self.waves.get_mut(wave) {
                tally.remove(before);
                tally.add(after);
            }
            self.total.remove(before);
            self.total.add(after);
        }
        if after.is_in_flight() {
            self.in_flight.insert(rank)
        } else {
            self.in_flight.remove(&rank)
        };
        Some(result)
    }

    /// Moves the campaign to `state`.
    pub(crate) fn enter(&mut self, state: CampaignState, now: UnixMs) {
        self.campaign.state = state;
        self.campaign.changed = now;
        self.campaign.gate_since = None;
        self.ringing.clear();
        self.bell = 0;
        self.changed = true;
    }

    /// Queued devices within reach of `wave` that should be told to ask now.
    pub(crate) fn next_to_ring(&mut self, wave: u16, now: UnixMs) -> Vec<u32> {
        let jobs = &self.jobs;
        let is_queued = |rank: u32| jobs.get(rank as usize).is_some_and(|job| job.kind() == JobKind::Queued);
        self.ringing.retain(|(rank, told)| is_queued(*rank) && told.after(RING_AGAIN_MS) > now);
        let reach = self.reach.get(usize::from(wave)).copied().unwrap_or(0);
        let mut room = (self.room() as usize).saturating_sub(self.ringing.len());
        let mut found = Vec::new();
        for _ in 0..reach.min(MAX_BELL_SEARCH) {
            if room == 0 {
                break;
            }
            let rank = if self.bell < reach { self.bell } else { 0 };
            self.bell = rank + 1;
            let due = jobs
                .get(rank as usize)
                .is_some_and(|job| job.kind() == JobKind::Queued && job.not_before <= now);
            if due && !self.ringing.iter().any(|(rung, _)| *rung == rank) {
                self.ringing.push((rank, now));
                found.push(rank);
                room -= 1;
            }
        }
        found
    }

    /// A device is about to be told its job.
    pub(crate) fn tell(&mut self, rank: u32, now: UnixMs) {
        self.told.insert(rank, now);
        self.put_off.remove(&rank);
    }

    /// A device that holds a job has asked and is told to wait.
    pub(crate) fn put_off(&mut self, rank: u32) {
        self.put_off.insert(rank);
    }

    /// A device works on its job.
    pub(crate) fn heard(&mut self, rank: u32) {
        self.put_off.remove(&rank);
    }

    /// Devices that were told their job some time ago, or by an earlier process, and have not accepted it; and those that were
    /// put off with it.
    ///
    /// The answer may have been lost, or the device's power with it, before the device wrote anything down. It knows nothing of
    /// the job then, and one that waits for its bell would wait for an hour. So would one that restarted while the campaign was
    /// held, once it goes on.
    pub(crate) fn next_to_remind(&mut self, now: UnixMs) -> Vec<u32> {
        let jobs = &self.jobs;
        let is_offered =
            |rank: &u32| jobs.get(*rank as usize).is_some_and(|job| job.kind() == JobKind::Offered);
        let in_flight = &self.in_flight;
        self.put_off.retain(|rank| in_flight.contains(rank));
        let put_off = &self.put_off;
        let waits = |rank: &u32| is_offered(rank) || put_off.contains(rank);
        self.told.retain(|rank, _| waits(rank));
        let told = &self.told;
        let is_due = |rank: &u32| told.get(rank).is_none_or(|told| told.after(RING_AGAIN_MS) <= now);
        let due: Vec<u32> =
            self.in_flight.iter().copied().filter(|rank| waits(rank) && is_due(rank)).collect();
        self.told.extend(due.iter().map(|rank| (*rank, now)));
        due
    }

    pub(crate) fn mark_changed(&mut self) {
        self.changed = true;
    }

    /// What changed since the last call: the campaign itself, and the ranks of jobs.
    pub(crate) fn take_changes(&mut self) -> (bool, BTreeSet<u32>) {
        (core::mem::take(&mut self.changed), core::mem::take(&mut self.changed_jobs))
    }
}

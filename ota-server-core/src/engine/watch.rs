//! What the engine does by itself: silence, gates, halts, completion, bells.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Answer, ENGINE_ACTOR, Engine};
use crate::campaign::{CampaignNo, CampaignState};
use crate::clock::UnixMs;
use crate::device::JobRef;
use crate::rollout::{GateView, HaltReason, broken_rule, look_at_gate};
use crate::state::{JobKind, JobState};

impl Engine {
    pub(super) fn on_tick(&mut self, now: UnixMs) -> Answer {
        let campaigns: Vec<_> = self.works.keys().copied().collect();
        for no in campaigns {
            self.time_out(no, now);
            self.look_after(no, now);
            self.remind(no, now);
        }
        Answer::Done
    }

    fn time_out(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get(&no) else { return };
        let timeouts = work.campaign.plan.timeouts;
        let silent: Vec<_> = work
            .in_flight()
            .iter()
            .copied()
            .filter(|rank| {
                let deadline = work.job(*rank).and_then(|job| job.deadline(&timeouts));
                deadline.is_some_and(|deadline| deadline <= now)
            })
            .collect();
        for rank in silent {
            let at = JobRef { campaign: no, rank };
            let Some(work) = self.works.get_mut(&no) else { return };
            work.change(rank, |job| job.enter(JobState::TimedOut { stage: job.kind() }, now));
            self.record(at, JobKind::TimedOut.name(), now);
            self.after_move(at, now);
        }
    }

    /// Everything a campaign does by itself after something changed.
    pub(super) fn look_after(&mut self, no: CampaignNo, now: UnixMs) {
        self.start_if_due(no, now);
        self.halt_if_broken(no, now);
        while self.advance_wave(no, now) {}
        self.ring(no, now);
    }

    fn start_if_due(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        let due = work.campaign.plan.start_at_ms.is_none_or(|start| start <= now.0);
        if work.campaign.state == CampaignState::Scheduled && due {
            work.enter(CampaignState::Running { wave: 0 }, now);
            let detail = format!("wave 0 reaches {} of {} devices", work.reach_of(0), work.jobs().len());
            self.note_campaign(now, ENGINE_ACTOR, "campaign_started", no, detail);
        }
    }

    fn halt_if_broken(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get(&no) else { return };
        let (CampaignState::Running { wave } | CampaignState::Paused { wave }) = work.campaign.state else {
            return;
        };
        if let Some(reason) = broken_rule(&work.campaign.plan.halt, work.total()) {
            self.halt(no, wave, reason, now);
        }
    }

    fn halt(&mut self, no: CampaignNo, wave: u16, reason: HaltReason, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        work.enter(CampaignState::Halted { wave, reason }, now);
        work.campaign.halted = Some(now);
        self.note_campaign(now, ENGINE_ACTOR, "campaign_halted", no, reason.to_string());
        self.withdraw_offers(no, now);
    }

    /// Takes back every offer that its device has not accepted. What was accepted goes on.
    pub(super) fn withdraw_offers(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get(&no) else { return };
        let is_offer = |rank: &u32| work.job(*rank).is_some_and(|job| job.kind() == JobKind::Offered);
        let offers: Vec<_> = work.in_flight().iter().copied().filter(is_offer).collect();
        for rank in offers {
            let at = JobRef { campaign: no, rank };
            self.record(at, "withdrawn", now);
            let Some(work) = self.works.get_mut(&no) else { return };
            if work.change(rank, |job| job.requeue(now, now)) == Some(false) {
                work.change(rank, |job| job.enter(JobState::Cancelled, now));
            }
        }
    }

    /// Looks at the running wave's gate; `true` if the next wave began.
    fn advance_wave(&mut self, no: CampaignNo, now: UnixMs) -> bool {
        let Some(work) = self.works.get_mut(&no) else { return false };
        let CampaignState::Running { wave } = work.campaign.state else { return false };
        if work.is_last(wave) {
            self.complete_if_closed(no, now);
            return false;
        }
        let tally = work.wave(wave);
        match look_at_gate(work.campaign.plan.gate, &tally) {
            GateView::Waiting => self.shut_gate(no, now),
            GateView::Missed => {
                let reason = HaltReason::GateMissed {
                    confirmed: tally.get(JobKind::Confirmed),
                    contacted: tally.contacted(),
                    permille: work.campaign.plan.gate.permille,
                };
                self.halt(no, wave, reason, now);
            }
            GateView::Passed => return self.pass_gate(no, wave, tally.total() == 0, now),
        }
        false
    }

    fn complete_if_closed(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        if work.total().open() == 0 {
            let confirmed = work.total().get(JobKind::Confirmed);
            let detail = format!("{confirmed} of {} devices confirmed", work.jobs().len());
            work.enter(CampaignState::Completed, now);
            self.note_campaign(now, ENGINE_ACTOR, "campaign_completed", no, detail);
        }
    }

    fn shut_gate(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        if work.campaign.gate_since.take().is_some() {
            work.mark_changed();
            self.note_campaign(now, ENGINE_ACTOR, "gate_shut", no, String::new());
        }
    }

    /// Starts soaking, or the next wave when soaking is over. A wave that added nobody needs no soaking.
    fn pass_gate(&mut self, no: CampaignNo, wave: u16, empty: bool, now: UnixMs) -> bool {
        let Some(work) = self.works.get_mut(&no) else { return false };
        let soak = if empty { 0 } else { work.campaign.plan.soak_ms };
        if work.campaign.gate_since.is_none() {
            work.campaign.gate_since = Some(now);
            work.mark_changed();
            let tally = work.wave(wave);
            let confirmed = tally.get(JobKind::Confirmed);
            let detail =
                format!("wave {wave}: {confirmed} of {} contacted devices confirmed", tally.contacted());
            self.note_campaign(now, ENGINE_ACTOR, "gate_passed", no, detail);
        }
        let Some(work) = self.works.get_mut(&no) else { return false };
        let since = work.campaign.gate_since.unwrap_or(now);
        if since.after(soak) > now {
            return false;
        }
        let next = wave + 1;
        work.enter(CampaignState::Running { wave: next }, now);
        let detail = format!("wave {next} reaches {} of {} devices", work.reach_of(next), work.jobs().len());
        self.note_campaign(now, ENGINE_ACTOR, "wave_started", no, detail);
        true
    }

    /// Tells queued devices of the wave that they should ask, as many as there is room for.
    ///
    /// A device that was told and has not asked holds its place for a while; then the bell goes round to others.
    fn ring(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        let CampaignState::Running { wave } = work.campaign.state else { return };
        let ranks = work.next_to_ring(wave, now);
        self.ring_for(no, &ranks);
    }

    /// Rings again for devices that may not have heard that they were offered a job.
    fn remind(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        if matches!(work.campaign.state, CampaignState::Running { .. }) {
            let ranks = work.next_to_remind(now);
            self.ring_for(no, &ranks);
        }
    }

    fn ring_for(&mut self, no: CampaignNo, ranks: &[u32]) {
        let Some(work) = self.works.get(&no) else { return };
        for rank in ranks {
            let device = work.job(*rank).and_then(|job| self.devices.get(job.device));
            if let (Some(parts), Some(device)) = (work.parts(*rank), device) {
                self.out.bells.push((device.id, parts.id()));
            }
        }
    }
}

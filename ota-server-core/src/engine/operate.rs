//! An operator wants something.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ota_manifest::{DeviceId, Digest};

use super::{Answer, Engine};
use crate::campaign::{Approval, Campaign, CampaignNo, CampaignState, Target};
use crate::clock::UnixMs;
use crate::device::{Device, JobRef};
use crate::error::CommandError;
use crate::job::Job;
use crate::operator::{Actor, Command, Role};
use crate::plan::Plan;
use crate::release::{Release, ReleaseNo};
use crate::rollout::cohort;
use crate::state::JobState;

/// Longest name of a device or campaign, bytes.
const MAX_NAME: usize = 200;

impl Engine {
    pub(super) fn on_command(
        &mut self,
        actor: &Actor,
        command: Command,
        now: UnixMs,
    ) -> Result<Answer, CommandError> {
        match command {
            Command::NoteUpload { digest, size } => {
                actor.need(Role::Author)?;
                self.note(
                    now,
                    actor.name(),
                    "image_uploaded",
                    format!("image {digest}"),
                    format!("{size} bytes"),
                );
                Ok(Answer::Done)
            }
            Command::Publish(release) => self.publish(actor, *release, now),
            Command::Create { name, release, plan, target, salt } => {
                self.create(actor, Draft { name, release, plan: *plan, target, salt }, now)
            }
            Command::AddTrust { row, note } => self.add_trust(actor, *row, note, now),
            Command::Submit(no) => self.submit(actor, no, now),
            Command::Approve(no) => self.approve(actor, no, now),
            Command::Pause(no) => self.pause(actor, no, now),
            Command::Resume(no) => self.resume(actor, no, now),
            Command::Abort(no) => self.abort(actor, no, now),
            Command::Enrol { device, name, token } => self.enrol(actor, device, name, token, now),
            Command::Remove(device) => self.remove(actor, device, now),
        }
    }

    /// Whether a release of this order and class may be published.
    ///
    /// # Errors
    /// [`CommandError::OrderNotRising`] names the release that stands in the way.
    pub fn check_order(&self, class: &str, order: ota_manifest::Order) -> Result<(), CommandError> {
        let above = self.releases.values().find(|other| other.class == class && other.order >= order);
        above.map_or(Ok(()), |other| Err(CommandError::OrderNotRising(other.no)))
    }

    fn publish(&mut self, actor: &Actor, release: Release, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        self.check_order(&release.class, release.order)?;
        let no = ReleaseNo(self.releases.keys().next_back().map_or(1, |last| last.0 + 1));
        let release = Release { no, author: actor.name().into(), published: now, ..release };
        let detail =
            format!("version {} order {} manifest {}", release.version, release.order, release.manifest);
        self.out.batch.releases.push(release.clone());
        self.releases.insert(no, release);
        self.ready.insert(no);
        self.note(now, actor.name(), "release_published", format!("release {no}"), detail);
        Ok(Answer::Published(no))
    }

    fn create(&mut self, actor: &Actor, draft: Draft, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        check_name(&draft.name)?;
        draft.plan.check()?;
        if !self.releases.contains_key(&draft.release) {
            return Err(CommandError::NoRelease(draft.release));
        }
        let no = CampaignNo(self.works.keys().next_back().map_or(1, |last| last.0 + 1));
        let detail = format!("{}: release {}", draft.name, draft.release);
        let mut work = super::work::Work::new(Campaign {
            no,
            name: draft.name,
            author: actor.name().into(),
            release: draft.release,
            plan: draft.plan,
            target: draft.target,
            salt: draft.salt,
            state: CampaignState::Draft,
            approvals: Vec::new(),
            created: now,
            changed: now,
            halted: None,
            gate_since: None,
        });
        work.mark_changed();
        self.works.insert(no, work);
        self.note_campaign(now, actor.name(), "campaign_created", no, detail);
        Ok(Answer::Created(no))
    }

    fn state_of(&self, no: CampaignNo) -> Result<CampaignState, CommandError> {
        self.works.get(&no).map(|work| work.campaign.state).ok_or(CommandError::NoCampaign(no))
    }

    fn submit(&mut self, actor: &Actor, no: CampaignNo, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        let state = self.state_of(no)?;
        if state != CampaignState::Draft {
            return Err(CommandError::WrongState { state: state.name(), verb: "submitted" });
        }
        let jobs = self.members(no, now)?;
        let detail = format!("{} devices", jobs.len());
        for (rank, (_, job)) in (0u32..).zip(&jobs) {
            self.devices.add_job(job.device, JobRef { campaign: no, rank });
        }
        let ranks = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        let Some(work) = self.works.get_mut(&no) else { return Err(CommandError::NoCampaign(no)) };
        work.fill(jobs);
        for rank in 0..ranks {
            work.change(rank, |_| ()); // every job gets its row
        }
        work.enter(CampaignState::AwaitingApproval, now);
        self.note_campaign(now, actor.name(), "campaign_submitted", no, detail);
        self.schedule_if_approved(no, now);
        Ok(Answer::Done)
    }

    /// The devices of a draft in cohort order.
    fn members(&self, no: CampaignNo, now: UnixMs) -> Result<Vec<(u64, Job)>, CommandError> {
        let campaign = &self.works.get(&no).ok_or(CommandError::NoCampaign(no))?.campaign;
        let ids: Vec<DeviceId> = match &campaign.target {
            Target::All => self.devices.iter().map(|device| device.id).collect(),
            Target::Devices(ids) => ids.clone(),
        };
        let mut members: Vec<(u64, u32)> =
            ids.into_iter().filter_map(|id| Some((cohort(id, &campaign.salt), self.known(id)?))).collect();
        members.sort_unstable();
        members.dedup();
        if members.is_empty() {
            return Err(CommandError::NobodyTargeted);
        }
        Ok(members.into_iter().map(|(cohort, device)| (cohort, Job::queued(device, now))).collect())
    }

    fn approve(&mut self, actor: &Actor, no: CampaignNo, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need(Role::Approver)?;
        let work = self.works.get_mut(&no).ok_or(CommandError::NoCampaign(no))?;
        let state = work.campaign.state;
        if state != CampaignState::AwaitingApproval {
            return Err(CommandError::WrongState { state: state.name(), verb: "approved" });
        }
        if work.campaign.author == actor.name() {
            return Err(CommandError::OwnCampaign);
        }
        if work.campaign.approvals.iter().any(|approval| approval.operator == actor.name()) {
            return Err(CommandError::ApprovedAlready);
        }
        work.campaign.approvals.push(Approval { operator: actor.name().into(), at: now });
        work.mark_changed();
        let detail = format!("{} of {}", work.campaign.approvals.len(), work.campaign.plan.approvals);
        self.note_campaign(now, actor.name(), "campaign_approved", no, detail);
        self.schedule_if_approved(no, now);
        Ok(Answer::Done)
    }

    fn schedule_if_approved(&mut self, no: CampaignNo, now: UnixMs) {
        let Some(work) = self.works.get_mut(&no) else { return };
        if work.campaign.approvals.len() >= usize::from(work.campaign.plan.approvals) {
            work.enter(CampaignState::Scheduled, now);
            self.look_after(no, now);
        }
    }

    fn pause(&mut self, actor: &Actor, no: CampaignNo, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need_brake()?;
        let state = self.state_of(no)?;
        let CampaignState::Running { wave } = state else {
            return Err(CommandError::WrongState { state: state.name(), verb: "paused" });
        };
        self.move_to(actor, no, CampaignState::Paused { wave }, "campaign_paused", now);
        self.withdraw_offers(no, now);
        Ok(Answer::Done)
    }

    fn resume(&mut self, actor: &Actor, no: CampaignNo, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        let state = self.state_of(no)?;
        let CampaignState::Paused { wave } = state else {
            return Err(CommandError::WrongState { state: state.name(), verb: "resumed" });
        };
        self.move_to(actor, no, CampaignState::Running { wave }, "campaign_resumed", now);
        self.look_after(no, now);
        Ok(Answer::Done)
    }

    fn abort(&mut self, actor: &Actor, no: CampaignNo, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need_brake()?;
        let state = self.state_of(no)?;
        if matches!(state, CampaignState::Completed | CampaignState::Aborted) {
            return Err(CommandError::WrongState { state: state.name(), verb: "aborted" });
        }
        self.move_to(actor, no, CampaignState::Aborted, "campaign_aborted", now);
        self.withdraw_offers(no, now);
        let Some(work) = self.works.get(&no) else { return Ok(Answer::Done) };
        let queued: Vec<u32> = (0u32..)
            .zip(work.jobs())
            .filter(|(_, job)| job.state == JobState::Queued)
            .map(|(rank, _)| rank)
            .collect();
        for rank in queued {
            self.close_by_operator(JobRef { campaign: no, rank }, JobState::Cancelled, now);
        }
        Ok(Answer::Done)
    }

    fn move_to(&mut self, actor: &Actor, no: CampaignNo, state: CampaignState, action: &str, now: UnixMs) {
        if let Some(work) = self.works.get_mut(&no) {
            work.enter(state, now);
            self.note_campaign(now, actor.name(), action, no, String::new());
        }
    }

    fn close_by_operator(&mut self, at: JobRef, state: JobState, now: UnixMs) {
        if let Some(work) = self.works.get_mut(&at.campaign) {
            work.change(at.rank, |job| job.enter(state, now));
            self.record(at, state.kind().name(), now);
        }
    }

    fn enrol(
        &mut self,
        actor: &Actor,
        id: DeviceId,
        name: String,
        token: Digest,
        now: UnixMs,
    ) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        check_name(&name)?;
        if self.known(id).is_some() {
            return Err(CommandError::EnrolledAlready);
        }
        let detail = name.clone();
        let index = self.devices.put(Device::enrolled(id, name, token, now));
        self.changed_devices.insert(index);
        self.note(now, actor.name(), "device_enrolled", format!("device {id}"), detail);
        Ok(Answer::Done)
    }

    fn remove(&mut self, actor: &Actor, id: DeviceId, now: UnixMs) -> Result<Answer, CommandError> {
        actor.need(Role::Author)?;
        let index = self.known(id).ok_or(CommandError::NoDevice)?;
        if let Some(device) = self.devices.get_mut(index) {
            device.removed = Some(now);
            self.changed_devices.insert(index);
        }
        let open: Vec<JobRef> = self.devices.jobs(index).to_vec();
        let open = open.into_iter().filter(|at| self.kind_at(*at).is_some_and(|kind| !kind.is_terminal()));
        for at in open.collect::<Vec<_>>() {
            self.close_by_operator(at, JobState::Removed, now);
            self.look_after(at.campaign, now);
        }
        self.note(now, actor.name(), "device_removed", format!("device {id}"), String::new());
        Ok(Answer::Done)
    }
}

struct Draft {
    name: String,
    release: ReleaseNo,
    plan: Plan,
    target: Target,
    salt: [u8; 16],
}

fn check_name(name: &str) -> Result<(), CommandError> {
    if name.is_empty() || name.len() > MAX_NAME { Err(CommandError::BadName) } else { Ok(()) }
}

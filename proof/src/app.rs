//! What the application of a device does, by the life it leads.

use std::num::NonZeroU8;

use ota_manifest::{Frame, ResetCause, Role, RollbackReason};
use ota_slots::{App, MayBegin, OPAQUE, Opened, Policy, Staging, Trial};

use crate::device::{Device, Ended, PowerLost};
use crate::life::Behaviour;
use crate::witness::{Fault, LAST_SAVE, TRIAL_SAVE};
use crate::world::Built;

const ATTEMPTS: NonZeroU8 = NonZeroU8::new(3).unwrap();
/// Blocks between two records the application writes of its own while it fetches an image.
const BLOCKS_PER_SAVE: u32 = 4;

/// What became of a slot that was to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    Whole,
    /// The server has something better.
    Superseded,
    /// An operation was refused.
    Refused,
}

type Flow = Result<Ended, PowerLost>;

impl Device<'_> {
    /// The application of a release, until it resets or has nothing left to do.
    pub(crate) fn application(&mut self, opened: Opened<'_>, release: u16, policy: &Policy<'_>) -> Flow {
        match opened {
            Opened::Trial(app) => self.trial(app, release),
            Opened::Stranded(app) => self.settled(app, release, policy),
            Opened::Confirmed(app) => {
                self.witness.confirmed = self.witness.confirmed.max(release);
                self.settled(app, release, policy)
            }
        }
    }

    fn trial(&mut self, mut app: App<'_, Trial>, release: u16) -> Flow {
        if !self.acknowledge(&mut app)? || !self.save(&mut app, TRIAL_SAVE)? {
            return Ok(self.refused());
        }
        match self.life.behaviour(release) {
            Behaviour::SwitchedOff(times) if self.witness.trials_of(release) <= times => {
                let dips = self.witness.trials_of(release).is_multiple_of(2);
                Ok(Ended::Reset(if dips { ResetCause::BrownOut } else { ResetCause::PowerOn }))
            }
            Behaviour::Confirms | Behaviour::SwitchedOff(_) => match self.run(app.confirm())? {
                Ok(_) => {
                    self.witness.confirmed = self.witness.confirmed.max(release);
                    Ok(Ended::Reset(ResetCause::Software))
                }
                Err(_) => Ok(self.refused()),
            },
            Behaviour::Fails => match self.run(app.fail(RollbackReason::SelfTest))? {
                Ok(_) => Ok(Ended::Reset(ResetCause::Software)),
                Err(_) => Ok(self.refused()),
            },
            Behaviour::Hangs => Ok(Ended::Reset(ResetCause::Watchdog)),
        }
    }

    fn settled<S: MayBegin>(&mut self, mut app: App<'_, S>, release: u16, policy: &Policy<'_>) -> Flow {
        if !self.acknowledge(&mut app)? {
            return Ok(self.refused());
        }
        if self.life.renews_trust && policy.trust.version() == 1 {
            return self.offer_trust(&app);
        }
        if let Some(offer) = self.offer(release) {
            return self.update(&mut app, offer, policy);
        }
        if self.witness.confirmed >= 2 && !self.save(&mut app, LAST_SAVE)? {
            return Ok(self.refused());
        }
        Ok(Ended::Idle)
    }

    /// Reports and acknowledges an open event; `false` if that was refused.
    fn acknowledge<S>(&mut self, app: &mut App<'_, S>) -> Result<bool, PowerLost> {
        self.witness.read_back(own_number(app));
        let Some(event) = app.event() else { return Ok(true) };
        self.witness.told(event.id, event.reason);
        let written = self.run(app.ack_event())?.is_ok();
        if written {
            self.witness.acknowledged = self.witness.acknowledged.max(event.id);
        }
        Ok(written)
    }

    /// Writes a number of the application's own, if it is higher than the one that is there.
    fn save<S>(&mut self, app: &mut App<'_, S>, number: u32) -> Result<bool, PowerLost> {
        if !self.life.saves || own_number(app) >= number {
            return Ok(true);
        }
        let mut bytes = [0; OPAQUE];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        app.set_opaque(bytes);
        let written = self.run(app.save())?.is_ok();
        if written {
            self.witness.saved = self.witness.saved.max(number);
        }
        Ok(written)
    }

    /// What the server has for a device that runs `release`.
    fn offer(&self, release: u16) -> Option<u16> {
        let newer = self.life.offers.iter().copied().filter(|offer| *offer > release);
        if self.witness.superseded { newer.max() } else { newer.min() }
    }

    /// Puts the next trust document where the bootloader looks for it.
    fn offer_trust<S: MayBegin>(&mut self, app: &App<'_, S>) -> Flow {
        let Ok(offer) = app.offer_trust(&self.world.next_trust) else { return Ok(self.refused()) };
        match self.run(offer)? {
            Ok(_) => Ok(Ended::Reset(ResetCause::Software)),
            Err(_) => Ok(self.refused()),
        }
    }

    /// Brings an offered release into the other slot, as an agent would, and asks for a boot.
    fn update<S: MayBegin>(&mut self, app: &mut App<'_, S>, offer: u16, policy: &Policy<'_>) -> Flow {
        let world = self.world;
        let Some(release) = world.release(offer, self.life.rising) else { return Ok(Ended::Idle) };
        let Ok(frame) = Frame::parse(&release.envelope) else { return Ok(Ended::Idle) };
        let Ok(authentic) = policy.trust.authenticate(frame, Role::Release) else {
            return Ok(Ended::Idle);
        };
        let Ok(update) = authentic.admit(&app.device_state()) else { return Ok(Ended::Idle) };
        let built = world.image_for_update(release, app.slot());
        let Ok(begin) = app.begin(&update, &release.envelope) else { return Ok(self.refused()) };
        if self.life.rejected() == Some(offer) && !self.witness.events.is_empty() {
            self.witness.object(Fault::Restaged, format!("release {offer} is fetched again"));
        }
        let Ok(mut staging) = self.run(begin)? else { return Ok(self.refused()) };
        match self.fill(app, &mut staging, built, offer)? {
            Filled::Refused => return Ok(self.refused()),
            Filled::Superseded => return self.update(app, 3, policy),
            Filled::Whole => {}
        }
        let Ok(staged) = self.run(app.finish(&staging))? else { return Ok(self.refused()) };
        let Ok(request) = app.request_boot(&staged, ATTEMPTS) else { return Ok(self.refused()) };
        match self.run(request)? {
            Ok(_) => Ok(Ended::Reset(ResetCause::Software)),
            Err(_) => Ok(self.refused()),
        }
    }

    fn fill<S>(
        &mut self,
        app: &mut App<'_, S>,
        staging: &mut Staging<'_>,
        built: &Built,
        offer: u16,
    ) -> Result<Filled, PowerLost> {
        let resume = self.run(staging.find_resume_point())?;
        if !resume.leaves_held && !self.store_leaves(staging, &built.leaves)? {
            return Ok(Filled::Refused);
        }
        for block in resume.block..staging.blocks() {
            if self.life.supersedes && offer == 2 && block >= staging.blocks() / 2 {
                self.witness.superseded = true;
                return Ok(Filled::Superseded);
            }
            let saved = !block.is_multiple_of(BLOCKS_PER_SAVE) || self.save(app, 1 + block)?;
            if !saved || !self.store_block(staging, &built.image, block)? {
                return Ok(Filled::Refused);
            }
        }
        Ok(Filled::Whole)
    }

    fn store_leaves(&mut self, staging: &mut Staging<'_>, leaves: &[u8]) -> Result<bool, PowerLost> {
        if self.run(staging.erase_leaves())?.is_err() {
            return Ok(false);
        }
        let Ok(store) = staging.store_leaves(0, leaves) else { return Ok(false) };
        Ok(self.run(store)?.is_ok() && self.run(staging.check_leaves())?)
    }

    fn store_block(
        &mut self,
        staging: &mut Staging<'_>,
        image: &[u8],
        block: u32,
    ) -> Result<bool, PowerLost> {
        if self.run(staging.erase_block(block))?.is_err() {
            return Ok(false);
        }
        let size = staging.image().chunk_size.bytes() as usize;
        let (first, end) = staging.chunks_of(block);
        for index in first..end {
            let start = index as usize * size;
            let Some(bytes) = image.get(start..image.len().min(start + size)) else { return Ok(false) };
            if self.run(staging.store_chunk(index, bytes))?.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn own_number<S>(app: &App<'_, S>) -> u32 {
    app.opaque().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

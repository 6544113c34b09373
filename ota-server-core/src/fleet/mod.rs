//! The server without a network: engine, store, artifacts, signer and bell in one handle.
//!
//! Every answer but "nothing for you" leaves only after everything it rests on is committed.

mod chain;
mod core;
mod error;
mod freshness;
mod prove;
mod publish;
mod reply;
mod trust;

pub use chain::{PinnedTrust, TrustRefused};
pub use error::{FleetError, PublishError};
pub use publish::{ImageDraftRef, ReleaseDraft};
pub use reply::Reply;
#[cfg(any(feature = "http", feature = "mqtt"))]
pub(crate) use reply::{STORAGE_PAUSE_MS, down_bytes};
pub use trust::TrustAdded;

use ::core::ops::Range;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ota_manifest::wire::{Object, Poll, Report};
use ota_manifest::{ChunkSize, DeviceId, JobId};
use ota_verify::PublicKey;
use ota_verify::sign::Signer;

use self::chain::releases_alone;
use self::core::{Core, Taken};
use self::freshness::FreshnessKeys;
use self::prove::{Judge, Prover};
use crate::artifact::ArtifactStore;
use crate::audit::AuditRow;
use crate::auth::{Credential, DeviceAuth, Operators, Token};
use crate::campaign::{CampaignNo, Target};
use crate::clock::{Clock, UnixMs};
use crate::engine::{Answer, Engine, Event, LiveObject};
use crate::error::CommandError;
use crate::notify::Notifier;
use crate::operator::{Actor, Command, Role};
use crate::plan::Plan;
use crate::release::{Blob, ReleaseNo};
use crate::store::{JobEvent, Store};
use crate::trust::TrustRow;

/// What a fleet is made of: one implementation for each seam.
pub struct Parts {
    /// Where rows are kept.
    pub store: Arc<dyn Store>,
    /// Where images are kept.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// Where the release key lives.
    pub signer: Arc<dyn Signer>,
    /// Where the freshness keys live; usually one, online, and never the release key. Without any, no device is answered.
    pub freshness: Vec<Arc<dyn Signer>>,
    /// The trust that devices were made with; trust documents follow it.
    pub pinned: PinnedTrust,
    /// How devices are told to ask.
    pub notifier: Arc<dyn Notifier>,
    /// How devices say who they are.
    pub auth: Arc<dyn DeviceAuth>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Who may operate.
    pub operators: Operators,
}

/// Limits and habits of a fleet.
#[derive(Debug, Clone, Copy)]
pub struct FleetConfig {
    /// After how many milliseconds a device that got nothing shall ask again; 0 leaves it to the device.
    pub retry_after_ms: u32,
    /// Longest image, bytes. Images are held in memory while they are uploaded and signed.
    pub max_image: u64,
    /// Length of the chunks that new releases are cut into.
    pub chunk: ChunkSize,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self { retry_after_ms: 0, max_image: 64 << 20, chunk: ChunkSize::KIB4 }
    }
}

/// A handle on the server. Clones are handles on the same one.
#[derive(Clone)]
pub struct Fleet {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    artifacts: Arc<dyn ArtifactStore>,
    signer: Arc<dyn Signer>,
    freshness: FreshnessKeys,
    pinned: PinnedTrust,
    notifier: Arc<dyn Notifier>,
    auth: Arc<dyn DeviceAuth>,
    clock: Arc<dyn Clock>,
    operators: Operators,
    prover: Prover,
    config: FleetConfig,
}

impl Fleet {
    /// Goes on where the store left off.
    ///
    /// # Errors
    /// [`FleetError::Store`] if the store cannot be read, [`FleetError::Keys`] if a key would serve two roles,
    /// [`FleetError::Trust`] if devices under the newest trust document would take nothing that this signer signs.
    pub async fn open(parts: Parts, config: FleetConfig) -> Result<Self, FleetError> {
        let Parts { store, artifacts, signer, freshness, pinned, notifier, auth, clock, operators } = parts;
        let key = signer.public_key();
        let freshness = FreshnessKeys::new(freshness, &key)?;
        let prover = Prover::new(config.max_image);
        let core = Core::open(store).await?;
        core.look(|engine| match engine.newest_trust().and_then(TrustRow::document) {
            Some(document) => releases_alone(&document, &key),
            None => Ok(()),
        })?;
        let inner = Inner {
            core,
            artifacts,
            signer,
            freshness,
            pinned,
            notifier,
            auth,
            clock,
            operators,
            prover,
            config,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The release key that devices must trust.
    #[must_use]
    pub fn release_key(&self) -> PublicKey {
        self.inner.signer.public_key()
    }

    /// What time it is here.
    #[must_use]
    pub fn time(&self) -> UnixMs {
        self.inner.clock.now()
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> FleetConfig {
        self.inner.config
    }

    /// Looks at the engine: campaigns, jobs, devices, releases. Keep it short; the engine stands still meanwhile.
    pub fn look<R>(&self, look: impl FnOnce(&Engine) -> R) -> R {
        self.inner.core.look(look)
    }

    async fn step(&self, event: Event<'_>) -> Result<Taken, FleetError> {
        let taken = self.inner.core.step(event, self.time())?;
        self.ring(&taken).await?;
        Ok(taken)
    }

    /// Rings bells once the reason for them is committed. One that is lost is rung again by the engine.
    async fn ring(&self, taken: &Taken) -> Result<(), FleetError> {
        if taken.bells.is_empty() {
            return Ok(());
        }
        self.inner.core.settle(taken).await?;
        for (device, job) in &taken.bells {
            let _ = self.inner.notifier.notify(*device, Some(*job)).await;
        }
        Ok(())
    }
}

/// The device's side.
impl Fleet {
    /// The device behind a credential.
    #[must_use]
    pub fn device(&self, credential: Credential<'_>) -> Option<DeviceId> {
        self.look(|engine| self.inner.auth.device(credential, &|id| engine.token_of(id)))
    }

    /// A device asks for work. Releases that might be offered are proven first.
    ///
    /// # Errors
    /// [`FleetError::Store`] or [`FleetError::Artifact`]: try again later; nothing was promised.
    pub async fn poll(&self, device: DeviceId, poll: &Poll) -> Result<Reply, FleetError> {
        // First of all: a bell that rings for what this poll does not yet see must go on ringing.
        self.inner.notifier.heard(device);
        self.prove_candidates(device).await?;
        let taken = self.step(Event::Poll { device, poll }).await?;
        self.reply(taken).await
    }

    /// A device reports.
    ///
    /// # Errors
    /// [`FleetError::Store`]: the report is not stored and must be repeated.
    pub async fn report(&self, device: DeviceId, report: &Report) -> Result<Reply, FleetError> {
        let taken = self.step(Event::Report { device, report }).await?;
        self.reply(taken).await
    }

    async fn reply(&self, taken: Taken) -> Result<Reply, FleetError> {
        if taken.answer != Answer::Idle {
            self.inner.core.settle(&taken).await?;
        }
        let envelope = match taken.answer {
            Answer::Offer { release, .. } => {
                self.look(|engine| engine.release(release).map(|r| r.envelope.clone()))
            }
            _ => None,
        };
        let retry_after_ms = self.inner.config.retry_after_ms;
        Ok(Reply { answer: taken.answer, envelope: envelope.unwrap_or_default(), retry_after_ms })
    }

    /// The artifact behind an object of a job, if the job is this device's and in flight.
    #[must_use]
    pub fn object(&self, device: DeviceId, job: JobId, image: u8, object: Object) -> Option<LiveObject> {
        self.look(|engine| engine.object(device, job, image, object))
    }

    /// Reads a part of an artifact for a job of a device, and counts the bytes.
    ///
    /// # Errors
    /// [`FleetError::Artifact`].
    pub async fn serve(
        &self,
        device: DeviceId,
        job: JobId,
        blob: Blob,
        range: Range<u64>,
    ) -> Result<Vec<u8>, FleetError> {
        let bytes = self.inner.artifacts.read(blob.digest, range).await?;
        self.step(Event::Served { device, job, bytes: bytes.len() as u64 }).await?;
        Ok(bytes)
    }

    /// Proves the releases that a device might be offered.
    async fn prove_candidates(&self, device: DeviceId) -> Result<(), FleetError> {
        for no in self.look(|engine| engine.candidates(device)) {
            self.prove(no).await?;
        }
        Ok(())
    }

    /// What releases are held against now.
    fn judge(&self) -> Judge {
        let newest = self.look(|engine| engine.newest_trust().cloned());
        newest.map_or_else(|| Judge::Key(self.inner.signer.public_key()), Judge::Document)
    }

    /// Makes sure that the engine knows whether a release may be offered.
    async fn prove(&self, no: ReleaseNo) -> Result<(), FleetError> {
        let Some((release, known)) =
            self.look(|engine| Some((engine.release(no)?.clone(), engine.is_ready(no))))
        else {
            return Ok(());
        };
        let judge = self.judge();
        let verdict = self.inner.prover.prove(&release, &*self.inner.artifacts, &judge).await?;
        let (ready, detail) = match &verdict {
            Ok(()) => (true, String::from("envelope and artifacts prove")),
            Err(error) => (false, alloc::format!("{error}")),
        };
        if ready != known || !ready {
            self.step(Event::Readiness { release: no, ready, detail: &detail }).await?;
        }
        Ok(())
    }
}

/// The operator's side.
impl Fleet {
    /// The operator behind a token.
    #[must_use]
    pub fn operator(&self, token: &str) -> Option<Actor> {
        self.inner.operators.find(token).cloned()
    }

    /// Keeps an image.
    ///
    /// # Errors
    /// [`PublishError::ImageTooLarge`], [`FleetError::Command`] without the author's role, or a failing storage.
    pub async fn upload(&self, actor: &Actor, bytes: Vec<u8>) -> Result<Blob, FleetError> {
        actor.need(Role::Author)?;
        let (size, limit) = (bytes.len() as u64, self.inner.config.max_image);
        if size == 0 {
            return Err(PublishError::from(ota_verify::sign::DescribeError::Empty).into());
        }
        if size > limit {
            return Err(PublishError::ImageTooLarge { size, limit }.into());
        }
        let blob = self.inner.artifacts.put(bytes).await?;
        self.command(actor, Command::NoteUpload { digest: blob.digest, size }).await?;
        Ok(blob)
    }

    /// Does what an operator asks and returns when it is committed.
    ///
    /// # Errors
    /// [`FleetError::Command`] if it may not be, [`FleetError::Store`] if it could not be kept.
    pub async fn command(&self, actor: &Actor, command: Command) -> Result<Answer, FleetError> {
        let taken = self.step(Event::Operator { actor, command }).await?;
        self.inner.core.settle(&taken).await?;
        Ok(taken.answer)
    }

    /// Adds a draft campaign.
    ///
    /// # Errors
    /// As [`Fleet::command`].
    pub async fn create_campaign(
        &self,
        actor: &Actor,
        name: String,
        release: ReleaseNo,
        plan: Plan,
        target: Target,
    ) -> Result<CampaignNo, FleetError> {
        let salt = random()?;
        let plan = alloc::boxed::Box::new(plan);
        match self.command(actor, Command::Create { name, release, plan, target, salt }).await? {
            Answer::Created(no) => Ok(no),
            _ => Err(FleetError::ShuttingDown), // the engine answers `Create` with `Created` or an error
        }
    }

    /// Adds a device and returns the token that is its only proof of identity; it is not kept and cannot be shown again.
    ///
    /// # Errors
    /// As [`Fleet::command`].
    pub async fn enrol(
        &self,
        actor: &Actor,
        device: Option<DeviceId>,
        name: String,
    ) -> Result<(DeviceId, Token), FleetError> {
        let device = match device {
            Some(device) => device,
            None => DeviceId::new(random()?),
        };
        let token = Token::for_device(device, random()?);
        self.command(actor, Command::Enrol { device, name, token: token.digest() }).await?;
        Ok((device, token))
    }

    /// Tells a device to ask now, whether or not anything waits for it.
    ///
    /// # Errors
    /// [`CommandError::NoDevice`], [`FleetError::Command`] without the author's role, or
    /// [`FleetError::Notify`] if there is no way to tell it.
    pub async fn ring_for(&self, actor: &Actor, device: DeviceId) -> Result<(), FleetError> {
        actor.need(Role::Author)?;
        self.look(|engine| engine.token_of(device)).ok_or(CommandError::NoDevice)?;
        Ok(self.inner.notifier.notify(device, None).await?)
    }

    /// What happened to a job, oldest first.
    ///
    /// # Errors
    /// [`FleetError::Store`].
    pub async fn timeline(&self, job: JobId) -> Result<Vec<JobEvent>, FleetError> {
        self.inner.core.flush().await?;
        Ok(self.inner.core.store().timeline(job).await?)
    }

    /// Audit rows after number `after`.
    ///
    /// # Errors
    /// [`FleetError::Store`].
    pub async fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, FleetError> {
        self.inner.core.flush().await?;
        Ok(self.inner.core.store().audit(after, limit).await?)
    }
}

/// The clock's side.
impl Fleet {
    /// Lets time pass: timeouts, soaking, statistics to disk. Call it about once a second.
    ///
    /// # Errors
    /// [`FleetError::Store`]; the next tick tries again.
    pub async fn tick(&self) -> Result<(), FleetError> {
        self.inner.core.recover().await;
        self.step(Event::Tick).await?;
        self.inner.core.flush().await
    }

    /// Writes what is left and lets go of the store. Handles that are left get errors.
    ///
    /// # Errors
    /// [`FleetError::Store`] if the last statistics could not be written.
    pub async fn close(&self) -> Result<(), FleetError> {
        let flushed = self.inner.core.flush().await;
        self.inner.core.store().close().await;
        flushed
    }
}

impl ::core::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("Fleet").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

fn random<const N: usize>() -> Result<[u8; N], FleetError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| FleetError::Random(alloc::format!("{error}")))?;
    Ok(bytes)
}

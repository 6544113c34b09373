//! Engine and store in step: changes are made in memory, committed together, and only then told to anybody.
//!
//! Whoever comes first commits for all who wait (group commit): under load a commit carries many reports. If a commit
//! fails, the engine is loaded again from the store and everybody whose change was in it is told so.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ota_manifest::{DeviceId, JobId};

use crate::clock::UnixMs;
use crate::engine::{Answer, Engine, Event};
use crate::fleet::FleetError;
use crate::store::{Batch, Store, StoreError, StoreVersion};

/// What became of a batch: unset until it is committed or lost.
type Outcome = Arc<OnceLock<Result<(), StoreError>>>;

pub(super) struct Core {
    store: Arc<dyn Store>,
    memory: Mutex<Memory>,
    /// Held while committing. Committing runs in its own task, so a caller that goes away cannot tear it.
    turn: tokio::sync::Mutex<()>,
}

struct Memory {
    engine: Engine,
    version: StoreVersion,
    pending: Batch,
    outcome: Outcome,
    /// The engine could not be loaded again after a failure: it must not be believed.
    stale: Option<StoreError>,
}

/// A step that was taken in memory.
pub(super) struct Taken {
    pub(super) answer: Answer,
    pub(super) bells: Vec<(DeviceId, JobId)>,
    outcome: Outcome,
}

impl Core {
    pub(super) async fn open(store: Arc<dyn Store>) -> Result<Arc<Self>, StoreError> {
        let snapshot = store.load().await?;
        let version = snapshot.version;
        let memory = Memory {
            engine: Engine::load(snapshot)?,
            version,
            pending: Batch::default(),
            outcome: Outcome::default(),
            stale: None,
        };
        Ok(Arc::new(Self { store, memory: Mutex::new(memory), turn: tokio::sync::Mutex::new(()) }))
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Looks at the engine. What is seen may still wait to be committed.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Engine) -> R) -> R {
        look(&self.memory().engine)
    }

    /// Takes a step in memory.
    pub(super) fn step(&self, event: Event<'_>, now: UnixMs) -> Result<Taken, FleetError> {
        let mut memory = self.memory();
        if let Some(error) = &memory.stale {
            return Err(FleetError::Store(error.clone()));
        }
        let effects = memory.engine.step(event, now)?;
        memory.pending.append(effects.batch);
        Ok(Taken { answer: effects.answer, bells: effects.bells, outcome: memory.outcome.clone() })
    }

    /// Waits until a step, and everything before it, survives a crash.
    pub(super) async fn settle(self: &Arc<Self>, taken: &Taken) -> Result<(), FleetError> {
        self.settle_outcome(taken.outcome.clone()).await
    }

    /// Waits until everything so far survives a crash.
    pub(super) async fn flush(self: &Arc<Self>) -> Result<(), FleetError> {
        let outcome = self.memory().outcome.clone();
        self.settle_outcome(outcome).await
    }

    async fn settle_outcome(self: &Arc<Self>, outcome: Outcome) -> Result<(), FleetError> {
        let core = Arc::clone(self);
        let task = tokio::spawn(async move { core.commit_until(&outcome).await });
        task.await.map_err(|_| FleetError::ShuttingDown)?.map_err(FleetError::Store)
    }

    async fn commit_until(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        if let Some(result) = outcome.get() {
            return result.clone();
        }
        // Unset and our turn: the step is in the pending batch, the only one there is.
        let (batch, version, taken) = self.take_pending();
        let result = if batch.is_empty() { Ok(version) } else { self.store.commit(batch, version).await };
        match result {
            Ok(version) => {
                self.memory().version = version;
                let _ = taken.set(Ok(()));
                Ok(())
            }
            Err(error) => {
                let _ = taken.set(Err(error.clone()));
                self.reload(&error).await;
                Err(error)
            }
        }
    }

    fn take_pending(&self) -> (Batch, StoreVersion, Outcome) {
        let mut memory = self.memory();
        let mut batch = core::mem::take(&mut memory.pending);
        batch.squeeze();
        let outcome = core::mem::take(&mut memory.outcome);
        (batch, memory.version, outcome)
    }

    /// Goes back to what the store holds. Steps taken since then are lost, and their callers are told.
    async fn reload(&self, error: &StoreError) {
        let loaded = self.store.load().await.and_then(|snapshot| {
            let version = snapshot.version;
            Ok((Box::new(Engine::load(snapshot)?), version))
        });
        let mut memory = self.memory();
        memory.pending = Batch::default();
        let lost = core::mem::take(&mut memory.outcome);
        let _ = lost.set(Err(error.clone()));
        match loaded {
            Ok((engine, version)) => {
                memory.engine = *engine;
                memory.version = version;
                memory.stale = None;
            }
            Err(error) => memory.stale = Some(error),
        }
    }

    /// Tries to load again if the last attempt failed.
    pub(super) async fn recover(&self) {
        let stale = self.memory().stale.clone();
        if let Some(error) = stale {
            let _turn = self.turn.lock().await;
            self.reload(&error).await;
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

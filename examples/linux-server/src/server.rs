//! Starting and stopping.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ota_server_core::artifact::FsArtifacts;
use ota_server_core::auth::BearerAuth;
use ota_server_core::mqtt::MqttBell;
use ota_server_core::notify::{NoBell, Notifier};
use ota_server_core::store::SqliteStore;
use ota_server_core::{Fleet, FleetConfig, Parts, SystemClock, http};
use ota_verify::PublicKey;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Config;
use crate::operators::{self, OperatorTokens};
use crate::release_key::{ServerKey, keep, open_freshness};

/// How long requests under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// A server at work. Dropped without [`Running::stop`], it is cut off like a killed process, and as harmless.
pub struct Running {
    addr: SocketAddr,
    tokens: OperatorTokens,
    fleet: Fleet,
    freshness_key: PublicKey,
    bell: Option<MqttBell>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
    ticking: JoinHandle<()>,
    _lock: FolderLock,
}

/// Opens the data folder and begins to serve.
///
/// # Errors
/// One sentence on what to change: folder, key file, operators' file or address.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let data = &config.data;
    std::fs::create_dir_all(data).with_context(|| format!("cannot make the folder {}", data.display()))?;
    let lock = FolderLock::take(data)?;
    let (operators, tokens) = operators::open_or_create(&data.join("operator.tokens"))?;
    let pinned = config.trust.pinned()?;
    let release = release_key(&config).await?;
    let freshness = open_freshness(data)?;
    let bell = config.bell.start()?;
    let notifier: Arc<dyn Notifier> = match &bell {
        Some(bell) => Arc::new(bell.clone()),
        None => Arc::new(NoBell),
    };
    let parts = Parts {
        store: Arc::new(SqliteStore::open(&data.join("ota.sqlite")).await?),
        artifacts: Arc::new(FsArtifacts::open(&data.join("artifacts"))?),
        signer: Arc::clone(&release.signer),
        freshness: vec![Arc::clone(&freshness.signer)],
        pinned,
        notifier,
        auth: Arc::new(BearerAuth),
        clock: Arc::new(SystemClock),
        operators,
    };
    let limits = FleetConfig {
        retry_after_ms: config.poll_interval_ms,
        max_image: u64::from(config.max_image_mib) << 20,
        ..FleetConfig::default()
    };
    let fleet = Fleet::open(parts, limits).await?;
    keep([&release, &freshness], &fleet)?;
    if let Some(bell) = &bell {
        bell.serve(fleet.clone());
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let addr = listener.local_addr()?;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, fleet.clone(), stopped.clone()));
    let ticking = tokio::spawn(tick(fleet.clone(), Duration::from_millis(config.tick_ms.max(1)), stopped));
    tracing::info!(%addr, data = %data.display(), "serving");
    let freshness_key = freshness.signer.public_key();
    Ok(Running { addr, tokens, fleet, freshness_key, bell, stop, serving, ticking, _lock: lock })
}

/// A token may take its time.
async fn release_key(config: &Config) -> anyhow::Result<ServerKey> {
    let (options, data) = (config.signing.clone(), config.data.clone());
    tokio::task::spawn_blocking(move || options.open(&data)).await?
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as a URL without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The tokens of the operators it began with.
    #[must_use]
    pub fn tokens(&self) -> &OperatorTokens {
        &self.tokens
    }

    /// The release key that devices must trust.
    #[must_use]
    pub fn release_key(&self) -> PublicKey {
        self.fleet.release_key()
    }

    /// The freshness key that devices must trust in role freshness.
    #[must_use]
    pub fn freshness_key(&self) -> PublicKey {
        self.freshness_key
    }

    /// The server without its network.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The doorbell, if it has one.
    #[must_use]
    pub fn bell(&self) -> Option<&MqttBell> {
        self.bell.as_ref()
    }

    /// Lets requests under way finish, writes what is left, and lets go of the folder.
    ///
    /// # Errors
    /// If the last rows could not be written. What devices were told is committed in any case.
    pub async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(true);
        let mut serving = self.serving;
        if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
            serving.abort();
        }
        let _ = self.ticking.await;
        if let Some(bell) = &self.bell {
            bell.stop().await;
        }
        self.fleet.close().await.context("the last rows could not be written")
    }
}

async fn serve(
    listener: TcpListener,
    fleet: Fleet,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let until_stopped = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, http::router(fleet)).with_graceful_shutdown(until_stopped).await
}

async fn tick(fleet: Fleet, every: Duration, mut stopped: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        if let Err(error) = fleet.tick().await {
            tracing::error!(%error, "tick failed; trying again");
        }
    }
}

/// Two servers on one folder would undo each other's work.
struct FolderLock(File);

impl FolderLock {
    fn take(data: &Path) -> anyhow::Result<Self> {
        let path = data.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if file.try_lock().is_err() {
            bail!("another server runs on {}; stop it or choose another --data", data.display());
        }
        Ok(Self(file))
    }
}

impl Drop for FolderLock {
    /// Not left to the closing of the file: a process that this one is just starting holds a copy of it until it runs its
    /// own program, and the lock with it.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::FolderLock;

    #[test]
    fn folder_is_free_after_a_stop_though_a_process_being_started_still_has_the_lock_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        assert!(FolderLock::take(folder.path()).is_err(), "two servers on one folder");
        let copy_of_the_child = lock.0.try_clone().unwrap();
        drop(lock);
        let again = FolderLock::take(folder.path());
        assert!(again.is_ok(), "{:?}", again.err());
        drop(copy_of_the_child);
        assert!(FolderLock::take(folder.path()).is_err(), "the child's copy took the lock along");
    }
}

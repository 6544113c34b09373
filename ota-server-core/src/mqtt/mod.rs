//! Doorbell and reports over an MQTT 5 broker.
//!
//! ```text
//!   Fleet --notify, heard--> MqttBell --map of bells--> task --ota/v1/{device}/down/bell--> broker --> device
//!   Fleet <--poll, report, ask---------------------- task <--ota/v1/{device}/up/msg------ broker <-- device
//!                                                    task --ota/v1/{device}/down/msg----> broker --> device
//! ```
//! **Bells are kept.** A bell is a retained message, so a device that is away hears it when it comes back. It also stays in
//! this process until the device has asked: a broker that was killed and remembers nothing is told again as soon as it is
//! back. A bell that nobody hears ends after 24 hours.
//!
//! **Who is asking** is whom the broker lets write: a device's topics carry its id, and the broker's access list must let a
//! client write below its own `up` and nowhere else. The broker is trusted with that, never with images: a broker that lies
//! can make reports and withhold offers, it cannot make a device install anything. What the list must say, for a server
//! whose certificate is made out to `ota-server` and mosquitto's `use_identity_as_username`:
//!
//! ```text
//! pattern read      ota/v1/%u/down/#
//! pattern write     ota/v1/%u/up/#
//! user ota-server
//! topic   write     ota/v1/+/down/#
//! topic   read      ota/v1/+/up/#
//! topic   read      ota/v1/+/down/bell
//! ```
//! Its `max_packet_size 5120` keeps out what no device has to say: a longer packet than 10 KiB ends this server's connection.
//! Its `set_tcp_nodelay true` makes a report and its answer sixty times as fast (0.7 ms instead of 44 ms on one machine).
//!
//! **Without a broker** nothing fails: bells wait, devices ask by themselves, and [`MqttBell::link`] says what is wrong.
//!
//! **What is bounded.** 64 requests of devices are worked on at a time and 1024 wait, further ones are dropped (devices
//! repeat); packets have at most 10 KiB; of each device there is at most one bell, and one message about it under way.
//!
//! ```no_run
//! # async fn f(parts: ota_server_core::Parts) -> Result<(), Box<dyn std::error::Error>> {
//! use ota_server_core::mqtt::{MqttBell, MqttConfig, MqttIdentity};
//! use ota_server_core::{Fleet, FleetConfig, Parts};
//!
//! let identity = MqttIdentity::from_folder("pki".as_ref(), "server")?;
//! let bell = MqttBell::start(MqttConfig::new("mqtts://broker.example".parse()?, identity, "ota-server".into()));
//! let notifier = std::sync::Arc::new(bell.clone());
//! let fleet = Fleet::open(Parts { notifier, ..parts }, FleetConfig::default()).await?;
//! bell.serve(fleet);
//! // ...
//! bell.stop().await;
//! # Ok(())
//! # }
//! ```

mod bells;
mod config;
mod connection;
mod link;
mod requests;

pub use config::{MqttConfig, MqttConfigError, MqttIdentity, MqttUrl, PemPart};
pub use link::LinkState;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ota_manifest::{DeviceId, JobId};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use self::bells::Bells;
use self::requests::{Requests, Tally};
use crate::fleet::Fleet;
use crate::notify::{Notifier, NotifyError};
use crate::store::BoxFuture;

/// A bell that rings through a broker. Clones are handles on the same one; when the last is gone, the connection ends.
#[derive(Clone)]
pub struct MqttBell {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What handles and the task have in common.
struct Shared {
    bells: Mutex<Bells>,
    /// The queue of bells is not empty.
    rung: Notify,
    link: watch::Sender<LinkState>,
    fleet: watch::Sender<Option<Fleet>>,
    stop: watch::Sender<bool>,
    requests: Requests,
    refused: Tally,
}

impl MqttBell {
    /// Begins to connect and goes on trying. A broker that is not there is no error: see [`Self::link`].
    ///
    /// # Panics
    /// Outside a tokio runtime: the connection is a task of it.
    #[must_use]
    pub fn start(config: MqttConfig) -> Self {
        let shared = Arc::new(Shared {
            bells: Mutex::default(),
            rung: Notify::new(),
            link: watch::Sender::new(LinkState::Connecting),
            fleet: watch::Sender::new(None),
            stop: watch::Sender::new(false),
            requests: Requests::new(),
            refused: Tally::default(),
        });
        let task = tokio::spawn(connection::run(Arc::clone(&shared), config));
        Self { handle: Arc::new(Handle { shared, task: Mutex::new(Some(task)) }) }
    }

    /// Answers devices on behalf of `fleet` from now on.
    ///
    /// Comes after the start because the fleet is made with its bell. The two hold each other then; [`Self::stop`] parts
    /// them.
    pub fn serve(&self, fleet: Fleet) {
        self.handle.shared.fleet.send_replace(Some(fleet));
    }

    /// How the connection is doing, now and from now on.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.handle.shared.link.subscribe()
    }

    /// How many devices have been rung for and have not asked.
    #[must_use]
    pub fn ringing(&self) -> usize {
        self.handle.shared.bells().ringing()
    }

    /// How many requests of devices were dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.handle.shared.requests.dropped()
    }

    /// Answers the devices that have asked, says goodbye to the broker and lets go of the fleet. Takes a few seconds at
    /// most. Bells that the broker holds go on ringing there; later ones are errors.
    pub async fn stop(&self) {
        self.handle.shared.stop.send_replace(true);
        let task = self.handle.task().take();
        if let Some(mut task) = task
            && tokio::time::timeout(3 * connection::LAST_WORDS, &mut task).await.is_err()
        {
            task.abort();
        }
        self.handle.shared.fleet.send_replace(None);
    }
}

impl Notifier for MqttBell {
    /// Never waits for the broker. Rings now or as soon as there is a connection.
    fn notify(&self, device: DeviceId, job: Option<JobId>) -> BoxFuture<'_, Result<(), NotifyError>> {
        let shared = &self.handle.shared;
        let stopped = *shared.stop.borrow();
        let rung = if stopped {
            Err(NotifyError("this server has stopped its bell".into()))
        } else {
            shared.bells().ring(device, job, Instant::now());
            shared.rung.notify_one();
            Ok(())
        };
        Box::pin(core::future::ready(rung))
    }

    fn heard(&self, device: DeviceId) {
        let shared = &self.handle.shared;
        if shared.bells().silence(device) {
            shared.rung.notify_one();
        }
    }
}

impl fmt::Debug for MqttBell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.handle.shared.link.borrow().clone();
        f.debug_struct("MqttBell").field("link", &link).field("ringing", &self.ringing()).finish()
    }
}

impl Handle {
    fn task(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

impl Shared {
    fn bells(&self) -> MutexGuard<'_, Bells> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn down(&self, why: String) {
        let news = LinkState::Down { why };
        self.link.send_if_modified(|state| {
            let changed = *state != news;
            if let (true, LinkState::Down { why }) = (changed, &news) {
                tracing::warn!(why, "no connection to the broker");
                *state = news.clone();
            }
            changed
        });
    }
}

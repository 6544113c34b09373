//! Messages over a broker, and a bell to hear ([`ota_manifest::wire::topic`]).
//!
//! The device is a thread that waits for flash and server in turn; the broker speaks whenever it likes. So the connection
//! is a task on a runtime that all devices of the process share, and the two meet in a locked [`State`].

mod account;
mod address;
mod connection;
#[cfg(all(test, feature = "real-parts"))]
mod tests;

use std::borrow::ToOwned;
use std::collections::VecDeque;
use std::format;
use std::io;
use std::string::{String, ToString};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::vec::Vec;

use ota_manifest::wire::topic::{Channel, Topic};
use ota_manifest::wire::{Down, MAX_REPORT, Up, decode, encode};
use rumqttc::{AsyncClient, PubAckReason, Publish, PublishOptions, PublishProperties};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

pub use account::Account;
pub use address::BrokerAddress;

use super::{AddressError, Doorbell, LinkError};
use crate::Exchange;

/// All connections of the process, however many devices it runs.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("mqtt").enable_all().build()
});

/// Most lines that wait for the device's log.
const MAX_NEWS: usize = 16;

/// Messages over an MQTT 5 broker, with TLS on both sides, and the device's bell.
///
/// It connects by itself, again and again, with pauses that grow, and hears its bell while it lives; dropped, it breaks off
/// without a word, as a reset does. Polls, reports and questions travel over it, each with correlation data of its own, so
/// that no answer passes for one to another question; chunks and trust documents do not: see [`DualLink`](super::DualLink).
/// While there is no connection, an exchange ends at once.
///
/// An offer is let in with an envelope of up to
/// [`MAX_ENVELOPE_POST_QUANTUM`](ota_manifest::MAX_ENVELOPE_POST_QUANTUM) bytes, if the broker passes it on.
pub struct MqttLink {
    shared: Arc<Shared>,
    /// The reset of the device: the connection breaks off without a word.
    task: AbortHandle,
    topic: String,
    timeout: Duration,
    /// Begins anywhere: an answer to what was asked before the last reset must not pass for one to this.
    counter: u32,
    answer: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Where device and connection meet.
#[derive(Default)]
struct State {
    /// There while the broker knows us and brings us our messages.
    client: Option<AsyncClient>,
    rung: bool,
    /// The correlation data of the question that waits for an answer.
    awaited: Option<[u8; 4]>,
    answer: Option<Result<Vec<u8>, String>>,
    /// Lines for the log, and the last one of all.
    news: VecDeque<String>,
    told: String,
}

impl MqttLink {
    /// Begins to connect, at once, and goes on trying. Each exchange waits at most `timeout` for its answer.
    ///
    /// # Errors
    /// [`AddressError::System`]: no thread, or no random number.
    pub fn open(account: &Account, timeout: Duration) -> Result<Self, AddressError> {
        let runtime = RUNTIME.as_ref().map_err(|error| AddressError::System(error.kind().into()))?;
        let counter =
            getrandom::u32().map_err(|error| AddressError::System(io::Error::other(error.to_string())))?;
        let shared = Arc::new(Shared::default());
        let topic = Topic { device: account.device, channel: Channel::Up }.to_string();
        let task = runtime.spawn(connection::run(Arc::clone(&shared), account.clone())).abort_handle();
        Ok(Self { shared, task, topic, timeout, counter, answer: Vec::new() })
    }

    /// Whether the broker knows us.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.state().client.is_some()
    }
}

impl Exchange for MqttLink {
    type Error = LinkError;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, LinkError> {
        if !is_carried(up) {
            return Err(LinkError::NotHere);
        }
        let mut buffer = [0; MAX_REPORT];
        let body = encode(up, &mut buffer).map_err(|_| LinkError::Malformed)?;
        self.counter = self.counter.wrapping_add(1);
        let correlation = self.counter.to_be_bytes();
        let options = PublishOptions::at_least_once().properties(PublishProperties {
            correlation_data: Some(correlation.to_vec().into()),
            ..PublishProperties::default()
        });
        let broken = |why: String| LinkError::Broker(why);
        let mut state = self.shared.state();
        let client = state.client.as_ref().ok_or_else(|| broken("not connected".to_owned()))?;
        let sent = client.try_publish(self.topic.as_str(), body, options);
        sent.map_err(|error| broken(error.to_string()))?;
        // Still locked: the answer cannot come before it is awaited.
        state.awaited = Some(correlation);
        state.answer = None;
        let waited =
            self.shared.changed.wait_timeout_while(state, self.timeout, |state| state.answer.is_none());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.awaited = None;
        let answer = state.answer.take().unwrap_or_else(|| Err("the server does not answer".to_owned()));
        drop(state);
        self.answer = answer.map_err(broken)?;
        decode(&self.answer).map_err(|_| LinkError::Malformed)
    }
}

impl Doorbell for MqttLink {
    fn wait(&mut self, longest: Duration) -> bool {
        let silent = |state: &mut State| !state.rung && state.news.is_empty();
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), longest, silent);
        core::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).0.rung)
    }

    fn news(&mut self) -> Option<String> {
        self.shared.state().news.pop_front()
    }
}

impl core::fmt::Debug for MqttLink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MqttLink")
            .field("topic", &self.topic)
            .field("is_up", &self.is_up())
            .finish_non_exhaustive()
    }
}

/// Whether a message travels over MQTT at all. The others are for bytes in bulk, which a broker is not.
pub(super) const fn is_carried(up: &Up) -> bool {
    matches!(up, Up::Poll(_) | Up::Report(_) | Up::Ask(_))
}

impl Drop for MqttLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self, client: &AsyncClient) {
        let mut state = self.state();
        state.client = Some(client.clone());
        state.tell("broker: connected".to_owned());
        drop(state);
        self.changed.notify_all();
    }

    fn down(&self, why: &str) {
        let mut state = self.state();
        state.client = None;
        state.fail(why);
        state.tell(format!("broker: {why}"));
        drop(state);
        self.changed.notify_all();
    }

    fn received(&self, message: &Publish) {
        let topic = core::str::from_utf8(&message.topic).ok().and_then(Topic::parse);
        let mut state = self.state();
        match topic.map(|topic| topic.channel) {
            // An empty message takes a bell back that we may have heard already.
            Some(Channel::Bell) => state.rung |= !message.payload.is_empty(),
            Some(Channel::Down) => {
                let answers = message.properties.as_ref().and_then(|says| says.correlation_data.as_deref());
                if state.awaited.is_some_and(|awaited| answers == Some(&awaited[..])) {
                    state.answer = Some(Ok(message.payload.to_vec()));
                }
            }
            _ => {}
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The broker has taken what we said; whether anybody will ever read it is in the reason.
    fn acknowledged(&self, reason: PubAckReason) {
        if reason != PubAckReason::Success {
            self.state().fail(&format!("the broker has nobody to give it to: {reason:?}"));
            self.changed.notify_all();
        }
    }
}

impl State {
    fn fail(&mut self, why: &str) {
        if self.awaited.take().is_some() {
            self.answer = Some(Err(why.to_owned()));
        }
    }

    /// Keeps a line for the log; not the same one again and again.
    fn tell(&mut self, line: String) {
        if self.told != line && self.news.len() < MAX_NEWS {
            self.told.clone_from(&line);
            self.news.push_back(line);
        }
    }
}

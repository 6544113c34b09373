//! The device's end of the broker: hears its bell, and takes reports while it is connected (`ota_manifest::wire::topic`).
//!
//! The device is a thread that waits for flash and server in turn; the broker speaks whenever it likes. So the connection
//! is a task on a runtime that all devices of the process share, and the two meet in a locked [`State`].

mod account;
#[cfg(all(test, feature = "real-parts"))]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use ota_manifest::wire::topic::{Channel, Topic};
use ota_manifest::wire::{Down, MAX_REPORT, Up, decode, encode};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, PubAckReason, Publish,
    PublishOptions, PublishProperties, QoS, StateError, SubscribeFilterInput, SubscribeReasonCode,
    TlsConfiguration, TlsError, Transport, mqttbytes,
};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

pub use account::{Certificate, FactoryMqtt};

pub(crate) use account::Account;

use crate::LinkError;

/// All connections of the process, however many devices it runs.
static RUNTIME: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("mqtt").enable_all().build()
});

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Seconds of silence after which the broker is asked whether it is there.
const KEEP_ALIVE_S: u16 = 30;
/// Longest packet that is accepted, bytes. Offers, which are longer, come over HTTP.
const MAX_PACKET: u32 = 1024;
/// Messages that may be under way. There is one question at a time; the library's tables for the 65,535 that it allows
/// without a limit take 20 MB for each device.
const IN_FLIGHT: u16 = 4;
/// A connection that lived so long was a good one; or as long as the longest pause, if that is shorter.
const SETTLED: Duration = Duration::from_secs(10);
/// Most lines that wait for the device's log.
const MAX_NEWS: usize = 16;

/// A device's connection to its broker, for as long as the device has power.
pub(crate) struct MqttLink {
    shared: Arc<Shared>,
    /// The reset of the device: the connection breaks off without a word.
    task: AbortHandle,
    topic: String,
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
    /// Begins to connect, at once, and goes on trying.
    pub(crate) fn open(account: &Arc<Account>) -> Result<Self> {
        let runtime = RUNTIME.as_ref().map_err(|error| anyhow!("no runtime for the broker: {error}"))?;
        let shared = Arc::new(Shared::default());
        let counter = getrandom::u32().context("no random number")?;
        let task = runtime.spawn(run(Arc::clone(&shared), Arc::clone(account))).abort_handle();
        let topic = Topic { device: account.device, channel: Channel::Up }.to_string();
        Ok(Self { shared, task, topic, counter, answer: Vec::new() })
    }

    /// Whether the broker knows us.
    pub(crate) fn is_up(&self) -> bool {
        self.shared.state().client.is_some()
    }

    /// Whether somebody has rung since the last call.
    pub(crate) fn take_rung(&self) -> bool {
        std::mem::take(&mut self.shared.state().rung)
    }

    /// What became of the connection since the last call.
    pub(crate) fn take_news(&self) -> VecDeque<String> {
        std::mem::take(&mut self.shared.state().news)
    }

    /// Sends one message and waits for its answer.
    ///
    /// # Errors
    /// [`LinkError::Broker`] if there is no answer within `timeout`, or there can be none.
    pub(crate) fn send(&mut self, up: &Up, timeout: Duration) -> Result<Down<'_>, LinkError> {
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
        let waited = self.shared.changed.wait_timeout_while(state, timeout, |state| state.answer.is_none());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.awaited = None;
        let answer = state.answer.take().unwrap_or_else(|| Err("the server does not answer".to_owned()));
        drop(state);
        self.answer = answer.map_err(broken)?;
        decode(&self.answer).map_err(|_| LinkError::Malformed)
    }
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
        let topic = std::str::from_utf8(&message.topic).ok().and_then(Topic::parse);
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

/// Connects again and again, with pauses that grow: each is drawn evenly from zero to a limit that doubles.
async fn run(shared: Arc<Shared>, account: Arc<Account>) {
    let limit_of = |ms: u32| Duration::from_millis(u64::from(ms.max(10)));
    let (first, longest) = (limit_of(account.backoff_ms.0), limit_of(account.backoff_ms.1));
    let mut limit = first;
    loop {
        // A new client each time: what an old one has left unsaid is nothing to a device that has asked again meanwhile.
        let (client, mut events) = AsyncClient::builder(options(&account)).build();
        let mut since = None;
        let why = pump(&shared, &account, &client, &mut events, &mut since).await;
        shared.down(&why);
        if since.is_some_and(|since: Instant| since.elapsed() > SETTLED.min(longest)) {
            limit = first;
        }
        let share = f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        tokio::time::sleep(limit.mul_f64(share)).await;
        limit = limit.saturating_mul(2).min(longest);
    }
}

fn options(account: &Arc<Account>) -> MqttOptions {
    let mut options = MqttOptions::new(account.device.to_string(), (account.host.as_str(), account.port));
    let dial = Arc::clone(account);
    options
        .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&account.tls))))
        // The library's own connector leaves Nagle's delay in and cannot tell an IPv6 address from its port.
        .set_socket_connector(move |_, _| {
            let account = Arc::clone(&dial);
            async move {
                let stream = TcpStream::connect((account.host.as_str(), account.port)).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }
        })
        .set_connect_timeout(CONNECT)
        .set_keep_alive(KEEP_ALIVE_S)
        .set_clean_start(true)
        .set_session_expiry_interval(Some(0))
        .set_max_packet_size(Some(MAX_PACKET))
        .set_outgoing_inflight_upper_limit(IN_FLIGHT);
    options
}

/// Carries one connection from its beginning to its end; says why it ended.
async fn pump(
    shared: &Shared,
    account: &Account,
    client: &AsyncClient,
    events: &mut EventLoop,
    since: &mut Option<Instant>,
) -> String {
    loop {
        let event = match events.poll().await {
            Ok(Event::Incoming(event)) => event,
            Ok(_) => continue,
            Err(error) => return why(&error),
        };
        match event {
            Packet::ConnAck(_) => {
                *since = Some(Instant::now());
                let of_device = |channel| {
                    let topic = Topic { device: account.device, channel };
                    SubscribeFilterInput::new(topic.to_string(), QoS::AtLeastOnce)
                };
                if let Err(error) = client.try_subscribe_many([Channel::Bell, Channel::Down].map(of_device)) {
                    return error.to_string();
                }
            }
            Packet::SubAck(granted) => {
                if !granted.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                    return format!("the broker refuses our topics: {:?}", granted.return_codes);
                }
                shared.up(client);
            }
            Packet::PubAck(taken) => shared.acknowledged(taken.reason),
            Packet::Publish(message) => shared.received(&message),
            _ => {}
        }
    }
}

/// What a person needs to know of it.
fn why(error: &ConnectionError) -> String {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
    let inner = match error {
        ConnectionError::Io(inner)
        | ConnectionError::Tls(TlsError::Io(inner))
        | ConnectionError::MqttState(
            StateError::Io(inner) | StateError::Deserialization(mqttbytes::Error::Io(inner)),
        ) => inner,
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            return "the connection was closed".to_owned();
        }
        other => return other.to_string(),
    };
    match inner.kind() {
        ConnectionRefused => "nobody listens".to_owned(),
        BrokenPipe | ConnectionReset | UnexpectedEof => "the connection broke".to_owned(),
        _ => inner.to_string(),
    }
}

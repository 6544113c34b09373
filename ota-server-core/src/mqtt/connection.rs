//! The task behind the bell: one connection after the other.
//!
//! Each attempt makes a new client. The library's own loop would connect again at once and for ever, and would first send
//! what the old connection left over; here the pauses grow, and what a new broker must be told comes from
//! [`Bells`](super::bells::Bells) alone.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::time::Duration;
use std::time::Instant;

use ota_manifest::wire::topic::{Channel, SERVER_FILTER, Topic};
use ota_manifest::{DeviceId, JobId};
use rumqttc::{
    AsyncClient, ConnAck, Event, EventLoop, MqttOptions, Packet, Publish, PublishNoticeError, PublishOptions,
    PublishProperties, QoS, SubscribeFilterInput, TlsConfiguration, Transport,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::bells::Message;
use super::link::{LinkState, dial, why};
use super::{MqttConfig, Shared};
use crate::state::JobKind;

/// How long a connection may take to be made: TCP, TLS and the broker's welcome.
const CONNECT: Duration = Duration::from_secs(10);
/// Messages about bells that may be under way at the same time. The broker's own limit comes on top.
const WINDOW: usize = 256;
/// Messages of all kinds that the broker may owe an acknowledgement for. It has a limit of its own, often a lower one.
const IN_FLIGHT: u16 = 1024;
/// How long a stop waits for the devices that are being answered, and then for the broker.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the broker may take to acknowledge a message. Under a flood from a device, with mosquitto 2.0.11, some
/// acknowledgements never came. Each takes away one of the messages that may be under way, until the connection ends.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const STUCK: &str = "the broker does not acknowledge what we say";
/// How often bells that nobody will hear are swept out.
const SWEEP: Duration = Duration::from_secs(600);
/// Shortest limit of a pause between two attempts: a configuration of 0 must not become a loop without a pause.
const SHORTEST_LIMIT: Duration = Duration::from_millis(10);
/// A connection that lived so long was a good one; or as long as the longest pause, if that is shorter.
const SETTLED: Duration = Duration::from_secs(10);
/// Where bells hang.
const BELLS_FILTER: &str = "ota/v1/+/down/bell";

/// How a connection, or an attempt at one, ended.
struct Ended {
    why: String,
    /// How long the broker knew us.
    lived: Duration,
}

/// What was under way and has come to an end.
enum Done {
    /// A message about a bell: the broker has taken it, or not.
    Told(DeviceId, Result<(), PublishNoticeError>),
    /// The same, and nothing was heard of it.
    Stuck,
    /// The broker will bring us what devices say, or not.
    Serving(Result<(), String>),
    /// The broker will show us the bells that hang there, or not.
    Looking(Result<(), String>),
}

/// Runs until it is told to stop.
pub(super) async fn run(shared: Arc<Shared>, config: MqttConfig) {
    let limit_of = |ms: u32| Duration::from_millis(u64::from(ms)).max(SHORTEST_LIMIT);
    let (first, longest) = (limit_of(config.backoff_ms.0), limit_of(config.backoff_ms.1));
    let mut limit = first;
    let mut stop = shared.stop.subscribe();
    loop {
        let ended = connection(&shared, &config).await;
        if *stop.borrow() {
            break;
        }
        shared.down(ended.why);
        // Only a connection that lived is a success. A broker that lets us in and throws us out at once, because another
        // process uses our client id, would otherwise be asked again without a pause.
        limit = if ended.lived > SETTLED.min(longest) { first } else { limit };
        tokio::select! {
            () = tokio::time::sleep(random_up_to(limit)) => {}
            () = is_stopped(&mut stop) => break,
        }
        limit = limit.saturating_mul(2).min(longest);
    }
    // As it was asked to: nobody is warned.
    shared.link.send_replace(LinkState::Down { why: "this server has stopped its bell".into() });
}

async fn connection(shared: &Shared, config: &MqttConfig) -> Ended {
    let ended = |why, lived| Ended { why, lived };
    let (client, mut events) = match AsyncClient::builder(options(config)).try_build() {
        Ok(built) => built,
        Err(error) => return ended(error.to_string(), Duration::ZERO),
    };
    let mut stop = shared.stop.subscribe();
    let welcomed = tokio::select! {
        welcomed = welcome(&mut events, config) => welcomed,
        () = is_stopped(&mut stop) => Err(String::new()),
    };
    if let Err(why) = welcomed {
        return ended(why, Duration::ZERO);
    }
    let since = Instant::now();
    shared.bells().start_over(since);
    shared.link.send_replace(LinkState::Connected);
    tracing::info!(broker = %config.url, "connected");
    let stuck = Arc::new(Notify::new());
    // Both run until one of them ends: polling the event loop anew for each event of the other would throw away
    // acknowledgements that it holds between reading and flushing.
    let why = tokio::select! {
        why = pump(shared, config, (&client, &stuck), &mut events) => why,
        why = drive(shared, &client, &stuck) => why,
    };
    ended(why, since.elapsed())
}

fn options(config: &MqttConfig) -> MqttOptions {
    let url = config.url.clone();
    let mut options = MqttOptions::new(config.client_id.clone(), (url.host(), url.port()));
    // No longest packet is announced: mosquitto 2.0.11 does not deliver a longer one and keeps waiting for it to be
    // acknowledged, so that twenty from one device would be the end of what all devices say. What the library takes
    // without a limit is 10 KiB; a broker that brings more is left.
    options
        .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config.identity.tls())))
        .set_socket_connector(move |_, _| dial(url.clone()))
        .set_connect_timeout(CONNECT)
        .set_keep_alive(config.keep_alive_s)
        .set_clean_start(true)
        .set_session_expiry_interval(Some(0))
        .set_request_channel_capacity(WINDOW)
        // The client keeps a table of everything that may be under way: 20 MB of it without a limit.
        .set_outgoing_inflight_upper_limit(IN_FLIGHT)
        .set_max_request_batch(32);
    options
}

/// Waits until the broker lets us in, and looks at what it can do.
async fn welcome(events: &mut EventLoop, config: &MqttConfig) -> Result<(), String> {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(welcome))) => return capable(&welcome),
            Ok(_) => {}
            Err(error) => return Err(why(&error, &config.url, false)),
        }
    }
}

fn capable(welcome: &ConnAck) -> Result<(), String> {
    let Some(says) = &welcome.properties else { return Ok(()) };
    if says.retain_available == Some(0) || says.max_qos == Some(0) {
        return Err("the broker keeps no messages, so a bell would be lost on a device that is away".into());
    }
    if says.shared_subscription_available == Some(0) {
        return Err("the broker has no shared subscriptions".into());
    }
    Ok(())
}

/// Reads what the broker sends, until the connection ends. Waits for nothing else.
async fn pump(
    shared: &Shared,
    config: &MqttConfig,
    way: (&AsyncClient, &Arc<Notify>),
    events: &mut EventLoop,
) -> String {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(message))) => received(shared, way, &message),
            Ok(_) => {}
            Err(error) => return why(&error, &config.url, true),
        }
    }
}

fn received(shared: &Shared, (client, stuck): (&AsyncClient, &Arc<Notify>), message: &Publish) {
    let topic = core::str::from_utf8(&message.topic).ok().and_then(Topic::parse);
    match topic {
        Some(Topic { device, channel: Channel::Up }) => {
            let fleet = shared.fleet.borrow().clone();
            if let Some(fleet) = fleet {
                shared.requests.take(fleet, (client.clone(), Arc::clone(stuck)), device, message);
            }
        }
        Some(Topic { device, channel: Channel::Bell }) if message.retain && !message.payload.is_empty() => {
            let job = core::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok());
            let waits = still_waits(shared, job);
            if shared.bells().found(device, job, waits, Instant::now()) {
                shared.rung.notify_one();
            }
        }
        // Devices may write more below `up` than this version reads.
        _ => {}
    }
}

/// Whether what an earlier process rang for still waits for its device. Operators who wanted to hear from one ring again.
fn still_waits(shared: &Shared, job: Option<JobId>) -> bool {
    let fleet = shared.fleet.borrow().clone();
    let known = fleet.zip(job).and_then(|(fleet, job)| fleet.look(|engine| engine.job(job)));
    known.is_some_and(|row| matches!(row.job.kind(), JobKind::Queued | JobKind::Offered))
}

/// Tells the broker what it should know, until it refuses what we cannot do without, or for good.
async fn drive(shared: &Shared, client: &AsyncClient, stuck: &Notify) -> String {
    let (mut stop, mut fleet) = (shared.stop.subscribe(), shared.fleet.subscribe());
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = JoinSet::new();
    let mut serving = false;
    loop {
        tokio::select! {
            () = is_stopped(&mut stop) => return leave(shared, client).await,
            () = is_there(&mut fleet), if !serving => {
                serving = true;
                under_way.spawn(serve(client.clone()));
                under_way.spawn(look(client.clone()));
            }
            Some(Ok(done)) = under_way.join_next() => {
                if let Err(why) = settle(shared, done) {
                    return why;
                }
            }
            (device, message) = next_bell(shared), if under_way.len() < WINDOW => {
                under_way.spawn(tell(client.clone(), device, message));
            }
            () = stuck.notified() => return STUCK.into(),
            _ = sweep.tick() => shared.bells().sweep(Instant::now()),
        }
    }
}

/// Lets the devices that are being answered have their answers, and says goodbye. Ends with the connection.
async fn leave(shared: &Shared, client: &AsyncClient) -> String {
    shared.fleet.send_replace(None);
    let _ = tokio::time::timeout(LAST_WORDS, shared.requests.idle()).await;
    let _ = client.disconnect_with_timeout(LAST_WORDS).await;
    core::future::pending().await
}

fn settle(shared: &Shared, done: Done) -> Result<(), String> {
    match done {
        Done::Told(device, told) => {
            if let Err(PublishNoticeError::V5PubAck(reason)) = &told
                && let Some(refused) = shared.refused.count()
            {
                tracing::warn!(%device, ?reason, refused, "the broker does not take our bells");
            }
            // If the connection broke instead, the next one starts over.
            shared.bells().settle(device, told.is_ok());
        }
        Done::Stuck => return Err(STUCK.into()),
        Done::Serving(served) => {
            served.map_err(|why| format!("the broker does not let us read what devices say: {why}"))?;
        }
        Done::Looking(Ok(())) => {}
        Done::Looking(Err(why)) => {
            tracing::warn!(why, "bells of an earlier process will ring on: the broker does not show them");
        }
    }
    Ok(())
}

/// Subscribes to what devices say.
async fn serve(client: AsyncClient) -> Done {
    Done::Serving(subscribe(&client, SubscribeFilterInput::new(SERVER_FILTER, QoS::AtLeastOnce)).await)
}

/// Has the broker show the bells that hang there: those of an earlier process must be taken down, too, once their devices
/// have asked, and only the broker knows them. The other way, an empty message for each device that asks for the first
/// time, would cost a message for each device of the fleet after every start of the server, for next to no bells.
///
/// Without the right to read `down/bell` nothing comes, and stale bells ring until they expire: each time such a device
/// connects, it asks once for nothing.
async fn look(client: AsyncClient) -> Done {
    let bells = SubscribeFilterInput::new(BELLS_FILTER, QoS::AtMostOnce).no_local(true);
    Done::Looking(subscribe(&client, bells).await)
}

async fn subscribe(client: &AsyncClient, filter: SubscribeFilterInput) -> Result<(), String> {
    let notice = client.subscribe_many_tracked([filter]).await.map_err(|error| error.to_string())?;
    notice.wait_completion_async().await.map_err(|error| error.to_string())
}

async fn tell(client: AsyncClient, device: DeviceId, message: Message) -> Done {
    let topic = Topic { device, channel: Channel::Bell }.to_string();
    let options = PublishOptions::at_least_once().retained();
    let (payload, options) = match message {
        Message::Clear => (String::new(), options),
        Message::Ring { job, expires_s } => {
            let expiry = Some(expires_s);
            let properties =
                PublishProperties { message_expiry_interval: expiry, ..PublishProperties::default() };
            (job.map_or_else(|| "ask".into(), |job| job.to_string()), options.properties(properties))
        }
    };
    let told = async {
        let notice = client.publish_tracked(topic, payload, options).await;
        notice.map_err(|_| PublishNoticeError::Recv)?.wait_completion_async().await
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    told.map_or(Done::Stuck, |told| Done::Told(device, told))
}

async fn next_bell(shared: &Shared) -> (DeviceId, Message) {
    loop {
        let next = shared.bells().next(Instant::now());
        match next {
            Some(next) => return next,
            None => shared.rung.notified().await,
        }
    }
}

async fn is_stopped(stop: &mut watch::Receiver<bool>) {
    // The sender lives as long as the task.
    let _ = stop.wait_for(|stop| *stop).await.is_ok();
}

async fn is_there<T>(value: &mut watch::Receiver<Option<T>>) {
    let _ = value.wait_for(Option::is_some).await.is_ok();
}

fn random_up_to(limit: Duration) -> Duration {
    // Without randomness the longest pause is the safe one.
    let share = getrandom::u32().unwrap_or(u32::MAX);
    limit.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

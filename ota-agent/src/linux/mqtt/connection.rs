//! The task behind a link: one connection after the other.

use std::borrow::ToOwned;
use std::format;
use std::io;
use std::string::{String, ToString};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ota_manifest::wire::Down;
use ota_manifest::wire::topic::{Channel, Topic};
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS, StateError,
    SubscribeFilterInput, SubscribeReasonCode, TlsConfiguration, TlsError, Transport, mqttbytes,
};
use tokio::net::TcpStream;

use super::{Account, Shared};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// Seconds of silence after which the broker is asked whether it is there.
const KEEP_ALIVE_S: u16 = 30;
/// Longest packet that is accepted, bytes: as long as the broker should pass on. A broker that holds a longer one back waits
/// for its acknowledgement all the same (mosquitto 2.0.11), and lets only so many of these be open.
const MAX_PACKET: u32 = 5 * 1024;
/// The longest answer and what MQTT puts around it: header, topic, packet id, correlation data.
const LONGEST: usize = ota_manifest::MAX_ENVELOPE_POST_QUANTUM + Down::MAX_HEADER + 128;
const _: () = assert!(LONGEST <= MAX_PACKET as usize);
/// Messages that may be under way. There is one question at a time; the library's tables for the 65,535 that it allows
/// without a limit take 20 MB for each device.
const IN_FLIGHT: u16 = 4;
/// A connection that lived so long was a good one; or as long as the longest pause, if that is shorter.
const SETTLED: Duration = Duration::from_secs(10);

/// Connects again and again, with pauses that grow: each is drawn evenly from zero to a limit that doubles.
pub(super) async fn run(shared: Arc<Shared>, account: Account) {
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

fn options(account: &Account) -> MqttOptions {
    let mut options =
        MqttOptions::new(account.device.to_string(), (&*account.broker.host, account.broker.port));
    let dial = account.clone();
    options
        .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(&account.tls))))
        // The library's own connector leaves Nagle's delay in and cannot tell an IPv6 address from its port.
        .set_socket_connector(move |_, _| {
            let account = dial.clone();
            async move {
                let stream = TcpStream::connect((&*account.broker.host, account.broker.port)).await?;
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

//! How the connection is doing, in a sentence that says what to do about it.

use alloc::format;
use alloc::string::{String, ToString};
use std::io;

use rumqttc::{
    ConnectReturnCode, ConnectionError, DisconnectReasonCode, StateError, TlsError, mqttbytes as bytes,
};
use rustls::{AlertDescription, CertificateError, Error as Tls};
use thiserror::Error;
use tokio::net::{TcpStream, lookup_host};

use super::MqttUrl;

/// How the connection to the broker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// The first attempt is under way.
    Connecting,
    /// The broker knows us.
    Connected,
    /// There is no connection. Unless the bell was stopped, another one is being tried for, again and again.
    Down {
        /// Why the last one failed or broke: one sentence.
        why: String,
    },
}

/// A reason that is a sentence already.
#[derive(Debug, Error)]
#[error("{0}")]
struct Sentence(String);

/// Connects to the first address that answers. Done here because the client hands out neither the name that did not
/// resolve nor a socket without Nagle's delay, and cannot split an IPv6 address from its port.
pub(super) async fn dial(url: MqttUrl) -> io::Result<TcpStream> {
    let (host, port) = (url.host(), url.port());
    let say = |sentence| io::Error::other(Sentence(sentence));
    let addresses = lookup_host((host, port)).await;
    let addresses = addresses.map_err(|error| say(format!("the name {host} cannot be resolved: {error}")))?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            say(format!("nobody listens at {host}, port {port}"))
        }
        Some(error) => say(format!("{host}, port {port}, cannot be reached: {error}")),
        None => say(format!("the name {host} has no address")),
    })
}

/// Why there is no connection: one broke after the broker's welcome, or an attempt failed before it.
pub(super) fn why(error: &ConnectionError, url: &MqttUrl, welcomed: bool) -> String {
    let (host, port) = (url.host(), url.port());
    if !welcomed && is_closed(error) {
        // With TLS 1.3 we are done before the broker has looked at our certificate, and what we send next may overtake
        // its refusal.
        return "the broker closed the connection before it let us in; perhaps it refuses our certificate"
            .into();
    }
    match error {
        ConnectionError::Timeout(_) => {
            format!("{host}, port {port}, does not answer as a broker with TLS would")
        }
        ConnectionError::ConnectionRefused(code) => refused(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            sent_away(*reason_code)
        }
        // Mosquitto 2.0 does so, without a word, to a client whose id another client has taken.
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "the broker closed the connection in good order; another process may use our client id".into()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "the broker does not answer any more".into(),
        ConnectionError::Tls(TlsError::TLS(error)) => tls(error, host),
        other => match io_error(other) {
            Some(error) => io(error, host),
            None => format!("the broker does not speak MQTT 5 as it should: {other}"),
        },
    }
}

fn io_error(error: &ConnectionError) -> Option<&io::Error> {
    match error {
        ConnectionError::Io(error)
        | ConnectionError::Tls(TlsError::Io(error))
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(bytes::Error::Io(error)),
        ) => Some(error),
        _ => None,
    }
}

fn io(error: &io::Error, host: &str) -> String {
    let inner = error.get_ref();
    if let Some(Sentence(sentence)) = inner.and_then(|inner| inner.downcast_ref()) {
        return sentence.clone();
    }
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<Tls>()) {
        return tls(error, host);
    }
    match hangs_up(error) {
        true => "the broker closed the connection".into(),
        false => format!("the connection to the broker broke: {error}"),
    }
}

fn is_closed(error: &ConnectionError) -> bool {
    let aborted = matches!(error, ConnectionError::MqttState(StateError::ConnectionAborted));
    aborted || io_error(error).is_some_and(hangs_up)
}

fn hangs_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn tls(error: &Tls, host: &str) -> String {
    match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the broker's certificate is not from the authority that we believe (ca.pem)".into()
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the broker's certificate is not made out to {host}"),
        Tls::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the broker's certificate has expired, or the clock here is wrong".into()
        }
        Tls::InvalidCertificate(error) => format!("the broker's certificate cannot be believed: {error}"),
        Tls::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::CertificateRequired),
        ) => format!("the broker refuses our certificate ({alert:?})"),
        other => format!("no TLS with the broker: {other}"),
    }
}

fn refused(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::NotAuthorized | ConnectReturnCode::BadUserNamePassword => {
            "the broker refuses us: it knows our certificate, but its name may not connect".to_string()
        }
        code => format!("the broker refuses us: {code:?}"),
    }
}

fn sent_away(reason: DisconnectReasonCode) -> String {
    match reason {
        DisconnectReasonCode::SessionTakenOver => "another process uses our client id".into(),
        DisconnectReasonCode::ServerShuttingDown => "the broker is shutting down".into(),
        reason => format!("the broker sent us away: {reason:?}"),
    }
}

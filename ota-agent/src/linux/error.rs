//! Why there is no answer.

use std::boxed::Box;
use std::string::String;

use thiserror::Error;

/// Why a message got no answer over HTTP or MQTT.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No connection, it broke, it took too long, or what came was longer than it may be.
    #[error("no answer: {0}")]
    Http(Box<dyn core::error::Error + Send + Sync>),
    /// No answer by way of the broker.
    #[error("no answer over MQTT: {0}")]
    Broker(String),
    /// An HTTP status that is no answer. Redirections are among them: a device's token goes to its own server alone.
    #[error("HTTP status {0}")]
    Status(u16),
    /// An answer that is not of the protocol.
    #[error("answer is not of this protocol")]
    Malformed,
    /// Part of an object, but not the part that was asked for, or not all of it.
    #[error("other bytes of the object than were asked for")]
    Range,
    /// A body that is compressed, which nobody asked for.
    #[error("answer is encoded, though no encoding is accepted")]
    Encoded,
    /// Chunks of a job that was not offered over this link, so that it does not know how long they are
    /// ([`HttpLink::hear`](super::HttpLink::hear)).
    #[error("chunks of a job that was not offered here")]
    NotOffered,
    /// This link does not carry such messages.
    #[error("messages of this kind take another way")]
    NotHere,
}

/// An address or a token that cannot be one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not the address of a server, `http://host:port` or `https://host:port`, with or without a path.
    #[error("{0} is not the address of a server, https://host:port")]
    Server(String),
    /// `https` without anybody to believe: see [`Tls`](super::Tls).
    #[error("{0} wants TLS, and no authority is named")]
    NoTls(String),
    /// A token with characters that do not travel in a header.
    #[error("the token has characters that no token has")]
    Token,
    /// Not the address of a broker, `mqtts://host:port`.
    #[error("{0} is not the address of a broker, mqtts://host:port")]
    Broker(String),
    /// The operating system starts no thread, or has no random numbers.
    #[error("no connection can be kept: {0}")]
    System(std::io::Error),
}

impl From<ureq::Error> for LinkError {
    fn from(error: ureq::Error) -> Self {
        Self::Http(Box::new(error))
    }
}

//! The device's end of the wire: messages as HTTP requests (`ota_manifest::wire::path`).

use std::time::Duration;

use ota_manifest::ChunkSize;
use ota_manifest::wire::path::{ASK, MEDIA_TYPE, ObjectPath, POLL, REPORT, TRUST};
use ota_manifest::wire::{Down, Fetch, MAX_REPORT, Object, Refusal, Up, decode, encode};
use thiserror::Error;
use ureq::Agent;

/// Most bytes of an answer that are read: a window and a message's frame, or an envelope.
const MAX_ANSWER: u64 = 64 * 1024;

/// HTTP connection to a server, kept alive between requests.
#[derive(Debug)]
pub struct HttpLink {
    agent: Agent,
    server: String,
    authorization: String,
    chunk_bytes: u32,
    answer: Vec<u8>,
}

/// Why a request got no answer.
#[derive(Debug, Error)]
pub enum LinkError {
    /// No connection, or it broke.
    #[error("no answer: {0}")]
    Http(#[from] ureq::Error),
    /// No answer by way of the broker.
    #[error("no answer over MQTT: {0}")]
    Broker(String),
    /// An HTTP status that is no answer.
    #[error("HTTP status {0}")]
    Status(u16),
    /// An answer that is not of the protocol.
    #[error("answer is not of this protocol")]
    Malformed,
}

impl HttpLink {
    /// A link to `server` (`http://host:port`) for the device with this token.
    #[must_use]
    pub fn new(server: &str, token: &str, timeout: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_idle_connections(1)
            .build();
        Self {
            agent: config.into(),
            server: server.trim_end_matches('/').to_owned(),
            authorization: format!("Bearer {token}"),
            chunk_bytes: ChunkSize::KIB4.bytes(),
            answer: Vec::new(),
        }
    }

    /// The length of chunks that the next requests count in, as the manifest says.
    pub fn set_chunk_bytes(&mut self, bytes: u32) {
        self.chunk_bytes = bytes;
    }

    /// Sends one message and waits for its answer.
    ///
    /// # Errors
    /// [`LinkError`], after which the agent backs off.
    pub fn send(&mut self, up: Up) -> Result<Down<'_>, LinkError> {
        match up {
            Up::Poll(_) => self.post(POLL, up),
            Up::Report(_) => self.post(REPORT, up),
            Up::Fetch(fetch) => self.get(fetch),
            Up::Ask(_) => self.post(ASK, up),
            Up::Trust { version } => self.get_trust(version),
        }
    }

    fn post(&mut self, path: &str, up: Up) -> Result<Down<'_>, LinkError> {
        let mut buffer = [0; MAX_REPORT];
        let body = encode(&up, &mut buffer).map_err(|_| LinkError::Malformed)?;
        let request = self.agent.post(format!("{}{path}", self.server));
        let request = request.header("authorization", &self.authorization).content_type(MEDIA_TYPE);
        let mut response = request.send(body)?;
        let status = response.status().as_u16();
        self.answer = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
        // A refusal comes with a status of its own and says more than the status does.
        match decode(&self.answer) {
            Ok(down) if status == 200 || matches!(down, Down::Refused { .. }) => Ok(down),
            Ok(_) | Err(_) if status != 200 => Err(LinkError::Status(status)),
            _ => Err(LinkError::Malformed),
        }
    }

    fn get_trust(&mut self, version: u32) -> Result<Down<'_>, LinkError> {
        let request = self.agent.get(format!("{}{TRUST}{version}", self.server));
        let mut response = request.header("authorization", &self.authorization).call()?;
        match response.status().as_u16() {
            200 => {
                self.answer = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
                Ok(Down::Trust { envelope: &self.answer })
            }
            404 | 410 => Ok(Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 }),
            status => Err(LinkError::Status(status)),
        }
    }

    /// A ranged request. A server that ignores the range (200) or sends another one is not believed.
    fn get(&mut self, fetch: Fetch) -> Result<Down<'_>, LinkError> {
        let path = ObjectPath { job: fetch.job, image: fetch.image, object: fetch.object };
        let unit = u64::from(match fetch.object {
            Object::Leaves => 32,
            Object::Payload => self.chunk_bytes,
        });
        let start = u64::from(fetch.first) * unit;
        let end = start + u64::from(fetch.count) * unit - 1;
        let request = self.agent.get(format!("{}{path}", self.server));
        let request = request.header("authorization", &self.authorization);
        let mut response = request.header("range", format!("bytes={start}-{end}")).call()?;
        let status = response.status().as_u16();
        if status == 404 || status == 410 {
            return Ok(Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 });
        }
        let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
        let honoured = range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")));
        if status != 206 || !honoured {
            return Err(LinkError::Status(status));
        }
        self.answer = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
        Ok(Down::Chunk { job: fetch.job, object: fetch.object, first: fetch.first, bytes: &self.answer })
    }
}

//! Messages as HTTP requests ([`ota_manifest::wire::path`]).

mod content_range;
mod retry_after;

use core::ops::Range;
use std::format;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use ota_manifest::wire::path::{ASK, MEDIA_TYPE, ObjectPath, POLL, REPORT, TRUST};
use ota_manifest::wire::{Down, Fetch, MAX_REPORT, Refusal, Up, decode, encode};
use ureq::http::{HeaderMap, HeaderValue, Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use self::content_range::ContentRange;
use super::{AddressError, Doorbell, LinkError, Tls};
use crate::{Exchange, ObjectRanges};

/// Longest answer that is a message or an envelope, bytes: an envelope has at most half of it.
const MAX_MESSAGE: u64 = 64 * 1024;
/// Longest `Refused`, bytes, and more. What is longer is a page for people.
const MAX_REFUSAL: u64 = 1024;
/// Longest head of an answer, bytes.
const MAX_HEAD: usize = 16 * 1024;

/// Messages over HTTP, to one server, over a connection that is kept.
///
/// Polls, reports and questions are posts, chunks and leaves are ranged requests, trust documents whole ones. Every request
/// ends within one time limit, from the name's resolution to the last byte, and takes no more memory than was asked for.
/// Nothing is taken for an answer that is none: whole objects and other ranges, cut-off, overlong or compressed bodies,
/// redirections, pages of a proxy. 429 and 503 are `Busy`, and their `Retry-After` is kept to, up to a day.
///
/// Proxies are those that the environment names (`ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`; not for `NO_PROXY`).
///
/// ```
/// use ota_agent::linux::{AddressError, HttpLink};
/// use std::time::Duration;
///
/// let link = HttpLink::new("http://127.0.0.1:8080", "token", Duration::from_secs(30));
/// assert!(link.is_ok());
/// let without_tls = HttpLink::new("https://updates.example", "token", Duration::from_secs(30));
/// assert!(matches!(without_tls, Err(AddressError::NoTls(_))));
/// ```
pub struct HttpLink {
    agent: Agent,
    server: String,
    authorization: HeaderValue,
    ranges: ObjectRanges,
    answer: Vec<u8>,
}

impl HttpLink {
    /// A link to `server` (`http://host:port`) for the device with this token. Whoever is on the way can read the token.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn new(server: &str, token: &str, timeout: Duration) -> Result<Self, AddressError> {
        if is_https(server) {
            return Err(AddressError::NoTls(server.into()));
        }
        // The library would panic where it needs the authorities that it was built without.
        Self::open(server, token, timeout, TlsConfig::builder().root_certs(RootCerts::from([])).build())
    }

    /// A link to `server` (`https://host:port`), which shows a certificate that `tls` believes.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn with_tls(server: &str, token: &str, timeout: Duration, tls: &Tls) -> Result<Self, AddressError> {
        Self::open(server, token, timeout, tls.for_http())
    }

    fn open(server: &str, token: &str, timeout: Duration, tls: TlsConfig) -> Result<Self, AddressError> {
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let authorization = HeaderValue::try_from(format!("Bearer {token}")).ok().filter(|_| is_token);
        let mut authorization = authorization.ok_or(AddressError::Token)?;
        authorization.set_sensitive(true);
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_response_header_size(MAX_HEAD)
            .max_idle_connections(1)
            .accept_encoding("identity")
            .https_only(is_https(server))
            .tls_config(tls)
            .build();
        Ok(Self {
            agent: config.into(),
            server: address(server).ok_or_else(|| AddressError::Server(server.into()))?,
            authorization,
            ranges: ObjectRanges::new(),
            answer: Vec::new(),
        })
    }

    /// Takes note of an offer that came another way, so that its chunks can be fetched here. Offers of its own a link notes
    /// by itself.
    pub fn hear(&mut self, down: &Down<'_>) {
        self.ranges.hear(down);
    }

    fn post(&mut self, path: &str, up: &Up) -> Result<Down<'_>, LinkError> {
        let mut buffer = [0; MAX_REPORT];
        let body = encode(up, &mut buffer).map_err(|_| LinkError::Malformed)?;
        let request = self.agent.post(format!("{}{path}", self.server)).content_type(MEDIA_TYPE);
        let mut response = request.header("authorization", self.authorization.clone()).send(body)?;
        if response.status() != 200 {
            return refused(&mut response);
        }
        self.answer = read(&mut response, MAX_MESSAGE)?;
        let down = decode(&self.answer).map_err(|_| LinkError::Malformed)?;
        self.ranges.hear(&down);
        Ok(down)
    }

    fn get(&self, path: &str, range: Option<&Range<u64>>) -> Result<Response<Body>, LinkError> {
        let request = self.agent.get(format!("{}{path}", self.server));
        let mut request = request.header("authorization", self.authorization.clone());
        if let Some(Range { start, end }) = range {
            request = request.header("range", format!("bytes={start}-{}", end.saturating_sub(1)));
        }
        Ok(request.call()?)
    }

    fn fetch(&mut self, fetch: &Fetch) -> Result<Down<'_>, LinkError> {
        let wanted = self.ranges.of(fetch).ok_or(LinkError::NotOffered)?;
        let path = ObjectPath { job: fetch.job, image: fetch.image, object: fetch.object }.to_string();
        let mut response = self.get(&path, Some(&wanted))?;
        if response.status() != 206 {
            return gone(&response).map_or_else(|| refused(&mut response), Ok);
        }
        let sent = ContentRange::of(response.headers()).and_then(|sent| sent.within(&wanted));
        let len = sent.ok_or(LinkError::Range)?;
        self.answer = read(&mut response, len)?;
        if u64::try_from(self.answer.len()) != Ok(len) {
            return Err(LinkError::Range);
        }
        Ok(Down::Chunk { job: fetch.job, object: fetch.object, first: fetch.first, bytes: &self.answer })
    }

    fn trust(&mut self, version: u32) -> Result<Down<'_>, LinkError> {
        let mut response = self.get(&format!("{TRUST}{version}"), None)?;
        if response.status() != 200 {
            return gone(&response).map_or_else(|| refused(&mut response), Ok);
        }
        self.answer = read(&mut response, MAX_MESSAGE)?;
        Ok(Down::Trust { envelope: &self.answer })
    }
}

impl Exchange for HttpLink {
    type Error = LinkError;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, LinkError> {
        match up {
            Up::Poll(_) => self.post(POLL, up),
            Up::Report(_) => self.post(REPORT, up),
            Up::Ask(_) => self.post(ASK, up),
            Up::Fetch(fetch) => self.fetch(fetch),
            Up::Trust { version } => self.trust(*version),
        }
    }
}

/// Nobody can ring over HTTP.
impl Doorbell for HttpLink {}

/// Says nothing of the token.
impl core::fmt::Debug for HttpLink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("HttpLink").field("server", &self.server).finish_non_exhaustive()
    }
}

fn is_https(server: &str) -> bool {
    server.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// The part of an address before the paths of the protocol. Without a name and password, which would take the token's place.
fn address(server: &str) -> Option<String> {
    let uri: Uri = server.parse().ok()?;
    let is_plain = uri.query().is_none() && !server.contains(['@', '#']);
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_plain && is_http && uri.host().is_some_and(|host| !host.is_empty()))
        .then(|| server.trim_end_matches('/').into())
}

/// A body as it is, and not longer than this, bytes.
fn read(response: &mut Response<Body>, limit: u64) -> Result<Vec<u8>, LinkError> {
    let encoding = response.headers().get("content-encoding");
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(LinkError::Encoded);
    }
    Ok(response.body_mut().with_config().limit(limit).read_to_vec()?)
}

/// The answer in a status other than success. A refusal comes with a status of its own and says more than that does.
fn refused(response: &mut Response<Body>) -> Result<Down<'static>, LinkError> {
    let status = response.status().as_u16();
    let busy = matches!(status, 429 | 503);
    let retry_after_ms = if busy { retry_after::milliseconds(response.headers()) } else { 0 };
    let said = read(response, MAX_REFUSAL).unwrap_or_default();
    match decode(&said) {
        Ok(Down::Refused { refusal, retry_after_ms: 0 }) => Ok(Down::Refused { refusal, retry_after_ms }),
        Ok(Down::Refused { refusal, retry_after_ms }) => Ok(Down::Refused { refusal, retry_after_ms }),
        _ if busy => Ok(Down::Refused { refusal: Refusal::Busy, retry_after_ms }),
        _ => Err(LinkError::Status(status)),
    }
}

/// What a device asked for by name is not there, whoever says so.
fn gone(response: &Response<Body>) -> Option<Down<'static>> {
    let gone = matches!(response.status().as_u16(), 404 | 410);
    gone.then_some(Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 })
}

/// The only value of a header; `None` if there is none, several, or one that is not text.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

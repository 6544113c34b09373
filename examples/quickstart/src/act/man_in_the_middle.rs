//! One device reaches the server through somebody else's proxy. It forges a manifest, replays an old one, and flips a bit
//! in a chunk. The device refuses all three, and gets its update all the same.
//!
//! The attacker controls the wire, so he also swallows the device's complaints about his forgeries. If the play was cut off,
//! he goes on with what the device's log does not show yet.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use device_sim::{Happening, Line};
use ota_manifest::wire::path::{POLL, REPORT};
use ota_manifest::wire::{Down, Stage, Up, decode, encode};
use ota_manifest::{Frame, JobId, Kind, Role};
use ota_server_core::signing::SoftwareSigner;
use ota_verify::sign::seal;
use tokio::net::TcpListener;

use crate::cast::Cast;

const BODY: usize = 1 << 20;

/// Puts the proxy between one device and the server.
pub(crate) fn prepare(cast: &mut Cast, old_release: u32) -> Result<()> {
    let victim = cast.role(2);
    let Some(next) = Attack::after(cast.past(victim)) else {
        cast.show.note(&format!("passed over: device {victim} has seen through the man in the middle"));
        return Ok(());
    };
    let old = cast.author.envelope(old_release)?;
    let attacker = SoftwareSigner::open_or_create(&cast.dir.join("attacker.key"))?;
    let proxy = Proxy {
        server: cast.server_url(),
        old,
        attacker,
        next: Mutex::new(Some(next)),
        forged: Mutex::new(None),
        damaged: Mutex::new(None),
        agent: ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into(),
    };
    let listener = cast.runtime.block_on(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(relay).with_state(Arc::new(proxy));
    cast.runtime.spawn(async move { axum::serve(listener, router).await });
    cast.put_behind(victim, address);
    cast.show.note(&format!("device {victim} reaches the server through a man in the middle"));
    Ok(())
}

/// What he does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    /// Signs the manifest with a key of his own.
    Forge,
    /// Offers an older manifest, properly signed in its day.
    Replay,
    /// Flips one bit of a chunk.
    Damage,
}

impl Attack {
    /// The first attack that a device's log does not show.
    fn after(log: &[Line]) -> Option<Self> {
        let refused = |wanted: &str| {
            let mut lines = log.iter();
            lines.any(|line| matches!(&line.what, Happening::Refused { refusal, .. } if refusal == wanted))
        };
        if !refused("Unauthentic") {
            Some(Self::Forge)
        } else if !refused("NotNewer") {
            Some(Self::Replay)
        } else {
            let damaged = log.iter().any(|line| matches!(line.what, Happening::ChunkRefused { .. }));
            (!damaged).then_some(Self::Damage)
        }
    }
}

struct Proxy {
    server: String,
    old: Vec<u8>,
    attacker: SoftwareSigner,
    next: Mutex<Option<Attack>>,
    /// The job of the offer he tampered with last: complaints about it are swallowed.
    forged: Mutex<Option<JobId>>,
    /// The range he damaged, until the device asks for a part of it again.
    damaged: Mutex<Option<String>>,
    agent: ureq::Agent,
}

/// An answer on its way back to the device.
struct Answer {
    status: StatusCode,
    content_range: Option<String>,
    body: Vec<u8>,
}

async fn relay(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY).await else { return bad_gateway() };
    let answered = tokio::task::spawn_blocking(move || proxy.handle(&parts, &body)).await;
    match answered {
        Ok(Ok(answer)) => {
            let mut response = Response::builder().status(answer.status);
            if let Some(range) = answer.content_range {
                response = response.header("content-range", range);
            }
            response.body(Body::from(answer.body)).unwrap_or_else(|_| bad_gateway())
        }
        _ => bad_gateway(),
    }
}

fn bad_gateway() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

impl Proxy {
    fn handle(&self, parts: &axum::http::request::Parts, body: &Bytes) -> Result<Answer> {
        let path = parts.uri.path();
        if path == REPORT
            && let Some(swallowed) = self.swallow(body)
        {
            return Ok(swallowed);
        }
        let mut answer = self.forward(parts, body)?;
        if path == POLL {
            self.tamper_with_offer(&mut answer);
        } else if path.ends_with("/payload") {
            let range = parts.headers.get("range").and_then(|value| value.to_str().ok());
            self.damage(range.unwrap_or_default(), &mut answer);
        }
        Ok(answer)
    }

    fn forward(&self, parts: &axum::http::request::Parts, body: &Bytes) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(parts.method.as_str()).uri(format!(
            "{}{}",
            self.server,
            parts.uri.path()
        ));
        for name in ["authorization", "range", "content-type"] {
            if let Some(value) = parts.headers.get(name) {
                request = request.header(name, value.as_bytes());
            }
        }
        let mut response = self.agent.run(request.body(body.to_vec())?)?;
        let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
        let content_range = range.map(str::to_owned);
        let status = StatusCode::from_u16(response.status().as_u16())?;
        let body = response.body_mut().read_to_vec().context("no body")?;
        Ok(Answer { status, content_range, body })
    }

    /// Acknowledges a refusal of what he forged himself; the server never hears of it.
    fn swallow(&self, body: &[u8]) -> Option<Answer> {
        let Ok(Up::Report(report)) = decode::<Up>(body) else { return None };
        let mut forged = self.forged.lock().unwrap_or_else(PoisonError::into_inner);
        if *forged != Some(report.job) || !matches!(report.stage, Stage::Rejected { .. }) {
            return None;
        }
        // Seen through. An answer that got lost on the way would have been tried again.
        *forged = None;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = if *next == Some(Attack::Forge) { Some(Attack::Replay) } else { Some(Attack::Damage) };
        Some(Answer {
            status: StatusCode::OK,
            content_range: None,
            body: message(&Down::Ack { seq: report.seq }),
        })
    }

    fn tamper_with_offer(&self, answer: &mut Answer) {
        let Ok(Down::Offer { job, attempt, envelope }) = decode::<Down<'_>>(&answer.body) else { return };
        let instead = match *self.next.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Attack::Forge) => self.forge(envelope),
            Some(Attack::Replay) => Some(self.old.clone()),
            _ => None,
        };
        let mut forged = self.forged.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(instead) = instead else {
            *forged = None;
            return;
        };
        *forged = Some(job);
        answer.body = message(&Down::Offer { job, attempt, envelope: &instead });
    }

    /// The server's own manifest, signed by somebody else.
    fn forge(&self, envelope: &[u8]) -> Option<Vec<u8>> {
        let frame = Frame::parse(envelope).ok()?;
        seal(Kind::Manifest, frame.payload_unauthenticated(), &[(&self.attacker, Role::Release)]).ok()
    }

    /// Flips a bit of whatever comes first, until the device asks for that place again in another piece: it has noticed.
    fn damage(&self, range: &str, answer: &mut Answer) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if *next != Some(Attack::Damage) {
            return;
        }
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        let start = |range: &str| range.split('-').next().map(str::to_owned);
        if damaged.as_deref().is_some_and(|before| before != range && start(before) == start(range)) {
            *next = None;
        } else if damaged.as_deref().is_none_or(|before| before == range)
            && let Some(byte) = answer.body.get_mut(100)
        {
            *byte ^= 0x04;
            *damaged = Some(range.to_owned());
        }
    }
}

fn message(down: &Down<'_>) -> Vec<u8> {
    let mut buffer = vec![0; BODY];
    encode(down, &mut buffer).map(<[u8]>::to_vec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn man_in_the_middle_goes_on_with_what_the_log_does_not_show() {
        let refused = |refusal: &str| Happening::Refused { refusal: refusal.to_owned(), code: 1 };
        let mut log = Vec::new();
        assert_eq!(Attack::after(&log), Some(Attack::Forge));
        for (what, next) in [
            (refused("Unauthentic"), Some(Attack::Replay)),
            (refused("NotNewer"), Some(Attack::Damage)),
            (Happening::ChunkRefused { chunk: 0 }, None),
        ] {
            log.push(Line { at_ms: 1, what });
            assert_eq!(Attack::after(&log), next);
        }
    }
}

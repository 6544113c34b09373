//! Whether the server can be heard.

use ota_manifest::Nonce;
use ota_verify::AuthenticFreshness;

use super::{Outcome, Probe, Step};

/// Asks the server a question that only its freshness key can answer.
///
/// One nonce is drawn, from a random source, at the first poll, and asked about again and again. What passes is a
/// reply to it that [`Trust::freshness`](ota_verify::Trust::freshness) has believed: not a login page that answers
/// everything, not an access point without a line behind it, and not the answer to a question of another day. Without
/// one the probe ends **inconclusive**: an outage of the server is no fault of the firmware. Each question counts as
/// progress, so ask more often than your watchdog needs to be fed.
///
/// ```
/// use ota_agent::self_test::{Connectivity, Outcome, Probe, Step};
/// use ota_manifest::Nonce;
///
/// let nonce = Nonce::new([7; 16]); // yours comes from a random generator
/// let mut server = Connectivity::new(|| nonce, 5_000, 60_000);
/// assert_eq!(server.poll(0), Step::Ask(nonce));
/// assert_eq!(server.poll(0), Step::Wait { until: 5_000 });
/// assert_eq!(server.poll(5_000), Step::Ask(nonce));
/// assert_eq!(server.expire(), Outcome::Inconclusive);
/// ```
#[derive(Debug)]
pub struct Connectivity<D> {
    draw: D,
    every_ms: u32,
    timeout_ms: u32,
    question: Option<Nonce>,
    /// When to ask next, ms.
    next: u64,
    heard: bool,
}

impl<D: FnMut() -> Nonce> Connectivity<D> {
    /// Asks every `every_ms` (at least one) about the nonce that `draw` gives, and gives up after `timeout_ms`.
    #[must_use]
    pub fn new(draw: D, every_ms: u32, timeout_ms: u32) -> Self {
        Self { draw, every_ms: every_ms.max(1), timeout_ms, question: None, next: 0, heard: false }
    }
}

impl<D: FnMut() -> Nonce> Probe for Connectivity<D> {
    fn name(&self) -> &'static str {
        "connectivity"
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, now: u64) -> Step {
        if self.heard {
            return Step::Done(Outcome::Passed);
        }
        if now < self.next {
            return Step::Wait { until: self.next };
        }
        let question = *self.question.get_or_insert_with(&mut self.draw);
        self.next = now.saturating_add(u64::from(self.every_ms));
        Step::Ask(question)
    }

    fn answer(&mut self, fresh: &AuthenticFreshness) {
        self.heard |= self.question == Some(fresh.nonce());
    }

    fn expire(&mut self) -> Outcome {
        Outcome::Inconclusive
    }
}

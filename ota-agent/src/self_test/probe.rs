//! What a probe is.

use ota_manifest::Nonce;
use ota_verify::AuthenticFreshness;

use super::Fault;

/// One question to the device, answered in small steps.
///
/// A step may block on a bus, for as long as one transfer takes; what takes longer is cut into steps, so that between
/// them the watchdog can be fed and the network served. Nothing is ever asked again of a probe that has said
/// [`Step::Done`].
///
/// ```
/// use ota_agent::self_test::{Fault, Outcome, Probe, Step};
///
/// /// The supply must be above 2.9 V. `F` reads the converter, mV.
/// struct Supply<F>(F);
///
/// impl<F: FnMut() -> Option<u16>> Probe for Supply<F> {
///     fn name(&self) -> &'static str {
///         "supply"
///     }
///
///     fn timeout_ms(&self) -> u32 {
///         50
///     }
///
///     fn poll(&mut self, now: u64) -> Step {
///         match (self.0)() {
///             None => Step::Wait { until: now + 1 }, // still converting
///             Some(2_900..) => Step::Done(Outcome::Passed),
///             Some(_) => Step::Done(Outcome::Failed(Fault::Own(1))),
///         }
///     }
/// }
///
/// assert_eq!(Supply(|| Some(3_300)).poll(0), Step::Done(Outcome::Passed));
/// ```
pub trait Probe {
    /// What it is called in the log.
    fn name(&self) -> &'static str;

    /// How long it may take from its first poll to its result, ms. A single transfer that blocks for longer is not
    /// cut off: that is the watchdog's part.
    fn timeout_ms(&self) -> u32;

    /// Does one step at time `now`, ms.
    fn poll(&mut self, now: u64) -> Step;

    /// Takes an answer that was believed, to whatever question it belongs.
    fn answer(&mut self, fresh: &AuthenticFreshness) {
        let _ = fresh;
    }

    /// The time has run out: puts back what it has changed, and says what it means that there is no result.
    fn expire(&mut self) -> Outcome {
        Outcome::Failed(Fault::TimedOut)
    }
}

/// How far a step has brought a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something is done that will not be done again; the rest is to come.
    Progress,
    /// The server is to be asked this. The answer comes with [`Probe::answer`]; until then nothing is to be done.
    Ask(Nonce),
    /// Nothing is to be done before `until`, ms.
    Wait {
        /// When to poll again.
        until: u64,
    },
    /// The result.
    Done(Outcome),
}

/// What a probe has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed(Fault),
    /// It could not be told, and not through the device's fault.
    Inconclusive,
}

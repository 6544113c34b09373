//! A link that can be rung.

use std::string::String;
use std::time::Duration;

use crate::Exchange;

/// An [`Exchange`] over which a server may say "ask me", at any time.
///
/// A link without a bell implements it with nothing in it, and only sleeps:
///
/// ```
/// # use ota_agent::Exchange;
/// # use ota_manifest::wire::{Down, Up};
/// use ota_agent::linux::Doorbell;
/// # struct CoapLink;
/// # impl Exchange for CoapLink {
/// #     type Error = core::convert::Infallible;
/// #     fn exchange(&mut self, _: &Up) -> Result<Down<'_>, Self::Error> { Ok(Down::Idle { retry_after_ms: 0 }) }
/// # }
/// impl Doorbell for CoapLink {}
/// assert!(!CoapLink.wait(std::time::Duration::ZERO));
/// ```
pub trait Doorbell: Exchange {
    /// Waits until somebody rings, and at most so long. Whether somebody has rung since the last call.
    fn wait(&mut self, longest: Duration) -> bool {
        std::thread::sleep(longest);
        false
    }

    /// What became of the connection since the last call: a line for the log, one at a time.
    fn news(&mut self) -> Option<String> {
        None
    }
}

//! What carries messages: an MQTT, CoAP or HTTP client, a byte stream, anything that brings an answer back.

mod object_ranges;

use core::fmt::Debug;

use ota_manifest::wire::{Down, Up};

pub use object_ranges::ObjectRanges;

/// Takes a message to the server and brings back its answer; blocks meanwhile.
///
/// An implementation promises three things. It ends: each exchange has a time limit, that of
/// [`Config::request_timeout_ms`](crate::Config::request_timeout_ms) or less. What it returns answers *this* message, not an
/// earlier one that came late. And an error means that there is no answer, whatever became of the message; the agent is told
/// [`Input::LinkLost`](crate::Input::LinkLost), and asks again after a pause.
///
/// Over a protocol that moves ranges of bytes, a [`Fetch`](ota_manifest::wire::Fetch) becomes a range; [`ObjectRanges`] knows
/// which. Here a client of CoAP, where a `Fetch` is a GET with Block2 options (RFC 7959):
///
/// ```
/// use ota_agent::{Exchange, ObjectRanges};
/// use ota_manifest::wire::{Down, MAX_REPORT, Up, decode, encode, path};
/// # use ota_manifest::{JobId, wire::{Fetch, Object}};
///
/// /// What stands between this device and its server: the CoAP library that the product uses.
/// trait Coap {
///     fn post(&mut self, path: &str, body: &[u8], answer: &mut [u8]) -> Result<usize, CoapError>;
///     fn get(&mut self, path: &str, from: u64, answer: &mut [u8]) -> Result<usize, CoapError>;
/// }
/// #[derive(Debug, PartialEq)]
/// enum CoapError { TimedOut, NotOffered, Malformed }
///
/// struct CoapLink<C> { client: C, ranges: ObjectRanges, answer: [u8; 4096] }
///
/// impl<C: Coap> Exchange for CoapLink<C> {
///     type Error = CoapError;
///
///     fn exchange(&mut self, up: &Up) -> Result<Down<'_>, CoapError> {
///         if let Up::Fetch(fetch) = up {
///             let range = self.ranges.of(fetch).ok_or(CoapError::NotOffered)?;
///             let path = path::ObjectPath { job: fetch.job, image: fetch.image, object: fetch.object };
///             let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(self.answer.len());
///             let read = self.client.get(&path.to_string(), range.start, &mut self.answer[..len])?;
///             let bytes = &self.answer[..read];
///             return Ok(Down::Chunk { job: fetch.job, object: fetch.object, first: fetch.first, bytes });
///         }
///         let mut body = [0; MAX_REPORT];
///         let body = encode(up, &mut body).map_err(|_| CoapError::Malformed)?;
///         let read = self.client.post("/ota", body, &mut self.answer)?;
///         let down = decode(&self.answer[..read]).map_err(|_| CoapError::Malformed)?;
///         self.ranges.hear(&down); // offers say how long chunks are
///         Ok(down)
///     }
/// }
///
/// # struct Nobody;
/// # impl Coap for Nobody {
/// #     fn post(&mut self, _: &str, _: &[u8], answer: &mut [u8]) -> Result<usize, CoapError> {
/// #         Ok(encode(&Down::Ack { seq: 7 }, answer).map_err(|_| CoapError::Malformed)?.len())
/// #     }
/// #     fn get(&mut self, _: &str, _: u64, _: &mut [u8]) -> Result<usize, CoapError> { Err(CoapError::TimedOut) }
/// # }
/// # let (up, fake) = (Up::Trust { version: 2 }, Nobody);
/// let mut link = CoapLink { client: fake, ranges: ObjectRanges::new(), answer: [0; 4096] };
/// let any: &mut dyn Exchange<Error = CoapError> = &mut link; // the agent's loop need not know which
/// assert_eq!(any.exchange(&up), Ok(Down::Ack { seq: 7 }));
/// # let fetch = Fetch { job: JobId::new([1; 16]), image: 0, object: Object::Payload, first: 0, count: 1 };
/// assert_eq!(any.exchange(&Up::Fetch(fetch)), Err(CoapError::NotOffered));
/// ```
pub trait Exchange {
    /// Why there is no answer. For the log: the agent makes no difference.
    type Error: Debug;

    /// Sends `up` and waits for its answer, which lives in the link's memory until the next exchange.
    ///
    /// # Errors
    /// There is no answer: hand in [`Input::LinkLost`](crate::Input::LinkLost).
    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, Self::Error>;
}

/// As [`Exchange`], and others run meanwhile. The same promises.
///
/// ```
/// use ota_agent::AsyncExchange;
/// use ota_manifest::wire::{Down, Up};
///
/// /// A server that has nothing to do for anybody.
/// struct Silence;
///
/// impl AsyncExchange for Silence {
///     type Error = core::convert::Infallible;
///
///     async fn exchange(&mut self, _: &Up) -> Result<Down<'_>, Self::Error> {
///         Ok(Down::Idle { retry_after_ms: 60_000 })
///     }
/// }
/// # use core::{pin::pin, task::{Context, Poll, Waker}};
/// # let mut link = Silence;
/// # let Poll::Ready(Ok(answer)) =
/// #     pin!(link.exchange(&Up::Trust { version: 2 })).poll(&mut Context::from_waker(Waker::noop())) else { panic!() };
/// # assert_eq!(answer, Down::Idle { retry_after_ms: 60_000 });
/// ```
pub trait AsyncExchange {
    /// Why there is no answer. For the log: the agent makes no difference.
    type Error: Debug;

    /// Sends `up` and waits for its answer, which lives in the link's memory until the next exchange.
    ///
    /// # Errors
    /// There is no answer: hand in [`Input::LinkLost`](crate::Input::LinkLost).
    fn exchange(&mut self, up: &Up) -> impl Future<Output = Result<Down<'_>, Self::Error>>;
}

/// Whether `down` can be the answer to `up`, for links on which an answer does not say what it answers.
#[cfg(any(feature = "embedded-io", feature = "embedded-io-async"))]
pub(crate) fn answers(down: &Down<'_>, up: &Up) -> bool {
    match (up, down) {
        (_, Down::Refused { .. } | Down::Cancel { .. }) => true,
        (Up::Poll(_), Down::Idle { .. } | Down::Offer { .. }) => true,
        (Up::Report(report), Down::Ack { seq }) => *seq == report.seq,
        (Up::Fetch(fetch), Down::Chunk { job, object, first, .. }) => {
            let asked = fetch.first..fetch.first.saturating_add(fetch.count.into());
            *job == fetch.job && *object == fetch.object && asked.contains(first)
        }
        (Up::Ask(_), Down::Fresh { .. }) | (Up::Trust { .. }, Down::Trust { .. }) => true,
        _ => false,
    }
}

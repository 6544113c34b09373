//! Why nothing can be sent or received.

use thiserror::Error;

/// The memory lent to a link does not hold the longest message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{lent} bytes were lent to the link, {needed} are needed")]
pub struct MemoryTooSmall {
    /// Bytes that were lent.
    pub lent: usize,
    /// Bytes that are needed: [`StreamLink::memory`](super::StreamLink::memory).
    pub needed: usize,
}

/// Why a message was not sent, or nothing can be received. Tell the agent: [`Input::LinkLost`](crate::Input::LinkLost).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError<E> {
    /// The port failed.
    #[error("the port failed: {0:?}")]
    Port(E),
    /// The other end has closed the connection, or the port takes nothing any more.
    #[error("the connection is closed")]
    Closed,
    /// Nothing that answers the message has come in time.
    #[error("no answer in time")]
    NoAnswer,
}

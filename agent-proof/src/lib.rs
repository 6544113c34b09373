//! Whole lives of a device's agent: bootloader, slots on simulated flash, a server with jobs and moods, a link that loses,
//! doubles, damages, delays and splits, and resets anywhere. A witness knows how each job must end.
//!
//! ```text
//!   Board --> Life --session()--> Session ----------------> Ended       one power session, one output after the other
//!              |                    |  Agent + SlotDriver
//!              |                    '-- LossyLink <--> Desk              frames, virtual time
//!              '---- lead() ----> Outcome                                sessions until all is quiet
//! ```
//!
//! In a third of the lives it also asks what time it is, and adopts the trust documents of its owners.
//!
//! Everything of a life comes from its seed; `agent-proof replay SEED` tells it step by step.
#![forbid(unsafe_code)]

pub mod believer;
pub mod board;
pub mod chain;
pub mod desk;
pub mod frame;
pub mod life;
pub mod oracle;
pub mod plant;
pub mod progress;
pub mod scenario;
mod session;
pub mod tally;
pub mod witness;

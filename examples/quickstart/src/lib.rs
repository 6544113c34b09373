//! The whole OTA flow in one process: server, devices, an attacker, and a judge who counts.
//!
//! ```text
//!   act/rollout.rs            v1.1.0 in waves: one device, 25 %, everybody; every device confirmed
//!   act/power.rs              one device loses power in mid-download, one before it has confirmed itself
//!   act/man_in_the_middle.rs  one device sits behind a proxy that forges, replays and damages
//!   act/bad_release.rs        v1.2.0 fails its self-test: the canary rolls back, the campaign halts by itself
//!   act/table.rs              what happened, at a glance
//!   judge.rs                  counts from the server's store and the devices' logs, and says whether it was as it should
//! ```
//! The blocks of the project's README are tested here, because this is the only place that sees device and server.
#![forbid(unsafe_code)]

pub mod act;
mod cast;
mod error;
mod firmware;
mod folder;
mod judge;
mod options;
mod play;
mod refetch;
mod show;

pub use error::PlayError;
pub use judge::{Evidence, Figures, judge};
pub use options::Options;
pub use play::{listen_for_interrupt, play};

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

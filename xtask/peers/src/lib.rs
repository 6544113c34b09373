//! Other update libraries on the flash that this family is tested on: what an update costs them, and what a power cut
//! leaves of it.
//!
//! One peer so far, `embassy-boot`. It is used as its documentation and examples say, through its blocking interface,
//! and judged by what anybody can see from outside: the bytes in ACTIVE when the bootloader would jump, and the state it
//! tells the application.
//!
//! ```text
//! Geometry ── Device (flash, ACTIVE, DFU, STATE) ──┬── slots: cost of each phase
//!                                                  └── Play: a life, session by session ── power_cut, targeted
//! ```
//!
//! The programs' output has types of its own ([`slots::Slots`], [`power_cut::PowerCut`]), so that a caller of the binary
//! can read it back.
#![forbid(unsafe_code)]

pub mod claims;
pub mod device;
pub mod error;
pub mod geometry;
pub mod images;
pub mod lives;
pub mod meter;
pub mod peer;
pub mod power_cut;
pub mod progress;
pub mod report;
pub mod slots;
pub mod stage;
pub mod targeted;
pub mod verdict;

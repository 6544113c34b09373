//! Whole lives of a device (bootloader, application, flash), with power cut at every flash operation in every way the
//! simulated flash knows, and a judge that knows how each life must end.
//!
//! ```text
//!   Board -> World -> Stage --device()--> Device --session()--> Ended        one power session
//!                       |                   '------- live() --> Outcome      sessions until it has settled
//!                       '--------- walk() --> CutPoint --struck()--> Device  power fails there; live on
//! ```
//!
//! A *cut point* is the flash right before an operation. It is taken while the undisturbed life passes by; whatever the
//! program had in memory is lost by a power failure anyway, so the flash, and what the world outside remembers, is all
//! there is to a device at that point. Each failure is asserted to have fired.
//!
//! Lives come back to where others were: after a torn block has been written again, nothing tells that it ever was. The
//! end of such a life is known, unless a bit that matters may still read at random; see [`memory`].
#![forbid(unsafe_code)]

mod app;
pub mod board;
pub mod chance;
pub mod chip;
pub mod cost;
pub mod course;
pub mod device;
pub mod double;
pub mod grid;
pub mod key;
pub mod life;
pub mod memory;
pub mod modes;
pub mod plan;
pub mod pool;
mod print;
pub mod progress;
pub mod replay;
pub mod report;
pub mod stage;
pub mod sweep;
pub mod tally;
pub mod witness;
pub mod world;

//! The real release binaries, bootloader and application, on the emulated chip: whole updates and rollbacks, with the power
//! cut at every flash operation that matters.
//!
//! ```text
//!   Cast: firmware, keys, releases     Desk: a server for one board
//!           \                           /
//!            '------- Bench: both, in virtual time; a clone is a snapshot
//!                       |
//!                     Story: a life that goes well --Plan--> lives with cuts --judged--> Tally
//! ```
#![forbid(unsafe_code)]

mod bench;
mod cast;
mod change;
mod desk;
mod figures;
mod known;
mod life;
mod plant;
mod plays;
mod settled;
mod story;
mod sweep;

pub use bench::{Beginning, Bench, End};
pub use cast::{Cast, Conduct};
pub use change::Change;
pub use desk::Desk;
pub use figures::Figures;
pub use known::unknown_registers;
pub use life::{Broken, Known, Life};
pub use plant::Plant;
pub use plays::{Plays, Rollback};
pub use settled::{boots, trust_version};
pub use story::{Kind, LONGEST, Outcome, Settled, Story};
pub use sweep::{Plan, Tally};

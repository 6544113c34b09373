//! A NOR flash that does what flash does when the power goes: for tests of this crate, of your port, of any `NorFlash` code.
//!
//! Strict first: what a data sheet forbids is refused and counted. Then cruel: power fails in the middle of any operation,
//! cells half forget, wear out, flip, and go silent. All of it from one seed, so every failure happens again.
//!
//! # The model
//!
//! | what | how | where |
//! |---|---|---|
//! | geometry | any write size and erase page, erased `0xFF` or `0x00`, several chips in one address space | [`Flash::new`], [`Flash::with_banks`] |
//! | rules | alignment, bounds, one program per unit per erase (all bits programmed is always legal), bits change one way | [`SimError`], [`Flash::violations`], [`Flash::set_multiwrite`] |
//! | power failure | at any write or page erase, by number; several in one life | [`Flash::cut`], [`Flash::fired`] |
//! | ... of which nothing or all has happened | [`CutMode::Before`], [`CutMode::After`] | |
//! | ... torn | [`CutMode::FirstHalf`], [`CutMode::LastHalf`], [`CutMode::RandomBits`], [`CutMode::RandomWords`] | |
//! | ... undecided: bits read anew each time, evenly | [`CutMode::Marginal`], [`CutMode::AlmostDone`], [`CutMode::BarelyBegun`] | |
//! | ... weak: bits read wrong one time in 32 | [`CutMode::WeaklyDone`], [`CutMode::WeaklyBegun`] | |
//! | after a torn write | its units count as programmed, whatever they read | |
//! | after a torn erase | no unit of the page takes a program (all bits programmed excepted) until it is erased again | |
//! | error correction | one wrong bit in a unit is put right; two, or a torn unit, are [`SimError::Uncorrectable`] | [`Flash::set_error_correction`] |
//! | wear | units or pages that keep what they hold without a word; pages that say so; a number of erases | [`Flash::stick`], [`Flash::stick_page`], [`Flash::fail_page`], [`Flash::endurance`] |
//! | bits at rest | chosen flips, random flips, garbage | [`Flash::flip`], [`Flash::rot`], [`Flash::corrupt`] |
//! | reads | that fail once; a chip that goes silent | [`Flash::fail_reads`], [`Flash::fail_reads_in`] |
//! | bookkeeping | every operation, counts for each bank, wear of each page | [`Flash::log`], [`Flash::counts`], [`Flash::wear`] |
//!
//! Not in the model: time, temperature, disturbance of neighbouring cells, a supply that sinks slowly. What an operation
//! leaves behind in the silicon of your part is between its modes, not beyond them; but that is an assumption.
//!
//! # Testing your own port
//!
//! Run the code once undisturbed, and count its operations. Then run it again for each of them, in each mode, with a few
//! seeds; cut; power on; look. Here the code under test keeps one byte in two pages, by turns, so that the last value
//! survives while the next is written:
//!
//! ```
//! use embedded_storage::nor_flash::NorFlash;
//! use ota_slots::sim::{Cut, CutMode, Flash, SimError};
//!
//! const PAGE: u32 = 1024;
//!
//! /// What a page holds: sequence number and value. The complements tell a record from half of one.
//! fn record<F: NorFlash>(flash: &mut F, page: u8) -> Option<(u8, u8)> {
//!     let mut bytes = [0; 4];
//!     flash.read(u32::from(page) * PAGE, &mut bytes).ok()?;
//!     let [sequence, value, ..] = bytes;
//!     (bytes[2..] == [!sequence, !value]).then_some((sequence, value))
//! }
//!
//! /// The newest record and its page.
//! fn newest<F: NorFlash>(flash: &mut F) -> Option<((u8, u8), u8)> {
//!     [0, 1].into_iter().filter_map(|page| Some((record(flash, page)?, page))).max()
//! }
//!
//! fn load<F: NorFlash>(flash: &mut F) -> Option<u8> {
//!     newest(flash).map(|((_, value), _)| value)
//! }
//!
//! fn store<F: NorFlash>(flash: &mut F, value: u8) -> Result<(), F::Error> {
//!     let ((sequence, _), page) = newest(flash).unwrap_or(((0, 0), 1));
//!     let (sequence, start) = (sequence + 1, u32::from(1 - page) * PAGE);
//!     flash.erase(start, start + PAGE)?;
//!     flash.write(start, &[sequence, value, !sequence, !value])
//! }
//!
//! let mut before = Flash::<4, 1024>::new(2048, 0xFF, 0);
//! store(&mut before, 1).unwrap();
//! store(&mut before, 2).unwrap();
//!
//! let mut undisturbed = before.reseeded(0);
//! store(&mut undisturbed, 3).unwrap();
//!
//! for operation in 0..undisturbed.operations() {
//!     for mode in CutMode::ALL {
//!         for seed in 0..8 {
//!             let mut flash = before.reseeded(seed);
//!             flash.cut(Cut { operation, mode });
//!             assert_eq!(store(&mut flash, 3), Err(SimError::PowerLost));
//!             assert!(flash.cut_fired(), "a sweep that misses its target proves nothing");
//!
//!             flash.power_on();
//!             let found = load(&mut flash);
//!             assert!(matches!(found, Some(2 | 3)), "old or new, {mode:?} at {operation} left {found:?}");
//!             store(&mut flash, 4).unwrap();
//!             assert_eq!(load(&mut flash), Some(4), "and it goes on");
//!             assert_eq!(flash.violations(), 0, "without breaking a rule");
//!         }
//!     }
//! }
//! ```
//!
//! One cut is where to begin. The code above does not survive two: after the first, a value may read as stored that does
//! not the next time, and by then the second cut has taken the one before it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test tool on a host: stopping loudly is what it is for"
)]

extern crate alloc;

mod bank;
mod bits;
mod controller;
mod cut;
mod damage;
mod error;
mod fault;
mod flash;
mod inspect;
mod keeper;
mod key;
mod lab;
mod log;
mod nor_flash;
mod page;
mod random;
mod tear;

pub use bank::Bank;
pub use cut::{Cut, CutMode};
pub use error::SimError;
pub use flash::Flash;
pub use keeper::Keeper;
pub use key::LabKey;
pub use lab::{Built, Lab, LabFlash, Release};
pub use log::{Counts, Logged};

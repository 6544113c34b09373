//! A NOR flash that does what flash does when the power goes: for tests of this crate, of your port, of any `NorFlash` code.
//!
//! Strict first: alignment, bounds, one program per cell per erase, bits only clear. Then cruel: power can be cut before,
//! after or in the middle of any operation, and what was half done can be torn by halves, by bits, by words, or left
//! *marginal*, so that it reads differently every time.
//!
//! ```
//! use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
//! use ota_slots::sim::{Cut, CutMode, Flash, SimError};
//!
//! let mut flash = Flash::<4, 1024>::new(4096, 0xFF, 1);
//! flash.erase(0, 1024).unwrap();
//! flash.write(0, &[0x12; 4]).unwrap();
//! assert_eq!(flash.write(0, &[0x12; 4]), Err(SimError::ProgrammedTwice), "one program per erase");
//!
//! flash.cut(Cut { operation: 2, mode: CutMode::Before });
//! assert_eq!(flash.write(4, &[0x34; 4]), Err(SimError::PowerLost));
//! flash.power_on();
//! let mut word = [0; 4];
//! flash.read(4, &mut word).unwrap();
//! assert_eq!(word, [0xFF; 4], "cut before it began");
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test tool on a host: stopping loudly is what it is for"
)]

mod flash;
mod lab;

pub use flash::{Cut, CutMode, Flash, Logged, SimError};
pub use lab::{Built, Lab, LabFlash, Release};

//! From sources to a device: builds the firmware, signs it, and packs what a factory flashes into one hex file.
//!
//! ```text
//!   Workshop --cargo--> bootloader, app A, app B (ELF)
//!                          |          |
//!                          |        Image --Release::sign--> envelope, leaf lists
//!                          |          |                         |
//!                          '------> Factory: flash as the device will find it --> hex, or an emulator's memory
//! ```
//! What stands in the slot is proven before anything is written out, with the keys that the bootloader pins.
#![forbid(unsafe_code)]

mod factory;
mod flash;
mod hex;
mod image;
mod keys;
mod release;
mod workshop;

pub use factory::{Factory, UICR_WORDS};
pub use image::{Image, slot_at};
pub use keys::{Keys, SecretKey, development, keep_public};
pub use release::{Packed, Release, Terms};
pub use workshop::{App, Bootloader, Workshop};

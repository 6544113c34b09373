//! A simulated Linux device of the OTA family: its flash is a file, its restart is a reboot.
//!
//! Everything that decides is the product: `ota-slots` boots, `ota-agent` talks, `ota-verify` proves. This crate adds what a
//! board adds: a flash driver ([`FlashFile`]), firmware ([`firmware`]) with
//! probes for its self-test, a log ([`Log`]), and a power supply that can fail on
//! purpose ([`PowerPlan`]). Links and loop are those of [`ota_agent::linux`].
//!
//! ```text
//!   DIR/flash.bin      descriptor page | journal, 2 pages | slot A, 1 MiB | slot B, 1 MiB
//!                      | guard, 2 pages | kept trust, 2 pages | inbox   (complement: erased = hole)
//!   DIR/device.json    identity, server, token, keys: what a factory burns in; a folder without it is no device
//!   DIR/mqtt/          certificate and key, if the device has a broker
//!   DIR/log.jsonl      one line per event, milliseconds since 1970
//! ```
#![forbid(unsafe_code)]

mod account;
mod application;
mod board;
mod bootloader;
mod device;
mod factory;
pub mod firmware;
mod flash_file;
mod log;
mod power;
mod proxied;
mod self_test;
mod whole_file;

pub use account::{Certificate, FactoryMqtt};
pub use board::{LAYOUT, SLOT_BYTES, WINDOW_BYTES, class, is_device, provision, vendor};
pub use device::{Device, Timing};
pub use factory::Factory;
pub use flash_file::{FlashError, FlashFile};
pub use log::{Happening, Line, Log, Observer, read_log};
pub use power::{CutPoint, PowerPlan, Supply};
pub use whole_file::write_whole;

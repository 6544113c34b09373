//! The whole way of an update to an nRF52840 DK, on a computer alone: the real firmware on the emulated chip, its UART through
//! the gateway, the real server, and its operators.
//!
//! ```text
//!   operators.rs  author and approver --HTTP--> the server, and what they see there
//!                                                  ^
//!   board.rs      the emulated board --UART--> gateway (HTTP)      time is the board's, and virtual
//!   stage.rs      the acts: factory, update into slot B, a bad release that is rolled back
//!   show.rs       both sides beside each other
//!   figures.rs    what came of it, and whether it was as it should
//! ```
#![forbid(unsafe_code)]

mod board;
mod figures;
mod firmware;
mod folder;
mod keys;
mod operators;
mod options;
mod play;
mod show;
mod stage;
mod words;

pub use figures::Figures;
pub use firmware::Firmware;
pub use keys::DemoKeys;
pub use options::Options;
pub use play::play;
pub use quickstart::PlayError;

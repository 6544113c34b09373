//! The gateway: carries boards that have a serial line, and no network, to `ota-server`.
//!
//! ```text
//!   board -- UART, USB, pty --> Bridge --> Carrier -- HttpLink, TLS --> ota-server
//!                            frames     one token a board
//! ```
//! A board speaks [`ota_manifest::wire::stream`], an `Up` at a time, and waits for its `Down`. The gateway asks the server in the
//! board's name and decides nothing: what matters is signed, and checked on the board. Where there is no answer it sends
//! none, and the board asks again by itself.
//!
//! - [`Bridge`]: frames to messages and back. No I/O.
//! - [`Carrier`]: the bytes that a board sent to the bytes of the answers, and lines for the log. It waits for the server and
//!   for nothing else: time is an argument, so a board may live in virtual time.
//! - [`Gateway`]: the loop around a port, and the loop around a port that comes and goes.
//! - [`Station`]: a board and its port, as files and command lines have them.
//!
//! A board in virtual time:
//!
//! ```
//! use emulator::Machine;
//! use gateway::{Board, Bridge, Gateway};
//!
//! let gateway = Gateway::new("http://127.0.0.1:8080", None)?;
//! let mut memory = Bridge::memory();
//! let mut carrier = gateway.carrier(&Board::new("emulated", "its-token"), &mut memory)?;
//! let mut machine = Machine::new();
//! # machine.flash().load(0, &[0, 0, 4, 0x20, 9, 0, 0, 0, 0xFE, 0xE7]).unwrap();
//! machine.power_on();
//! for millisecond in 0..5 {
//!     machine.run_millis(1);
//!     let sent = machine.sent(0);
//!     carrier.carry(millisecond, &sent, &mut |answer| machine.send(0, answer), &mut |line| println!("{line}"));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod board;
mod bridge;
mod carrier;
mod download;
mod gateway;
mod health;
mod line;
mod pause;
mod serial;
mod station;
mod text;
mod words;

pub use board::Board;
pub use bridge::{Bridge, Heard, Memory};
pub use carrier::{Carrier, PATIENCE_MS};
pub use gateway::Gateway;
pub use line::{Event, Line, Progress, Trouble};
pub use serial::{OpenError, SerialLine};
pub use station::{Station, StationsError};

//! The device's side of a firmware update, as a state machine without I/O.
//!
//! **Promise.** Whatever the network, the server or the power does, the machine asks for nothing before the manifest is
//! proven, never makes an image pending without a proof from flash, ends every job in exactly one terminal report, and has
//! a time limit on every wait for the server and on the trial. It allocates nothing, never blocks, and the same inputs give the same outputs.
//!
//! **Not here.** No sockets, no flash, no clock, no random numbers: time (ms) and a seed are arguments, everything else is an
//! [`Output`] to be carried out and an [`Input`] that says how it went.
//!
//! ```text
//!    Input::Message, Input::Slots, Input::SelfTest, Input::Ask, Input::LinkLost, Input::Doorbell, Input::Gates
//!                                  |
//!                                  v
//!   Idle -> Admitting -> Preparing -> Leaves -> Downloading -> Verifying -> Ready -> (reset)
//!    ^                                                                                 |
//!    '--- Reporting <--- Recording, Concluding <--- Testing <--------- boot -----------'
//!                                  |
//!                                  v
//!           Output::Send, Output::Slots, Output::SelfTest, Output::Draw, Output::Event, Output::Reset, Output::Wait
//! ```
//! Beside the jobs, while the device is idle or on trial, it asks what time it is and whose word counts:
//!
//! ```text
//!   Output::Draw -> Input::Ask -> Up::Ask, Down::Fresh -> SlotWork::Believe -> a newer trust document?
//!                                                                              |
//!                     reset <- SlotWork::OfferTrust <- Down::Trust, Up::Trust -'
//! ```
//!
//! The loop, in six steps:
//! 1. Build an [`Agent`] from a [`BootReport`], a seed and two lent buffers.
//! 2. Call [`Agent::poll_output`] until it says [`Output::Wait`].
//! 3. Carry out each output: send the message, run the slot work ([`SlotDriver`] does), run the self-test (feature `self-test`), reset.
//! 4. Hand each result back with [`Agent::handle_input`].
//! 5. When there is nothing to do, sleep until [`Agent::poll_timeout`] or until something arrives.
//! 6. At a timeout call [`Agent::handle_timeout`]; go to 2.
//!
//! ```
//! use ota_agent::{Agent, BootReport, Buffers, Config, Input, Output};
//! use ota_manifest::wire::{Down, Up};
//!
//! let (mut envelope, mut window) = ([0; 1536], [0; 16384]);
//! let buffers = Buffers { envelope: &mut envelope, window: &mut window };
//! let mut agent = Agent::new(Config::default(), BootReport::confirmed(), 7, buffers, 0);
//!
//! let Output::Send(Up::Poll(_)) = agent.poll_output(0) else { panic!("a new agent asks for work") };
//! agent.handle_input(5, Input::Message(Down::Idle { retry_after_ms: 60_000 }));
//! assert!(matches!(agent.poll_output(5), Output::Wait));
//! assert!(agent.poll_timeout().unwrap() > 5, "asks again later");
//! ```
//!
//! # Features
//! - `async`: [`SlotDriver`] over `embedded-storage-async`.
//! - `embedded-io`: the blocking loop of [`StreamLink`], which carries messages over UART, USB CDC and TCP.
//! - `embedded-io-async`: its asynchronous loop.
//! - `std`: [`linux`], the whole loop for devices with the standard library.
//! - `http`: messages over HTTP and HTTPS.
//! - `mqtt`: a doorbell and messages over an MQTT 5 broker, images over HTTP. Needs Rust 1.89.
//! - `self-test`: [`self_test`], probes of the hardware and of the server, and what runs them.
//! - `sim`: [`sim`], a scripted server in memory; for tests.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(feature = "std")]
extern crate std;

mod agent;
mod backoff;
mod config;
mod context;
mod driver;
mod exchange;
mod gates;
mod input;
mod inquiry;
#[cfg(feature = "std")]
pub mod linux;
mod output;
#[cfg(feature = "self-test")]
pub mod self_test;
#[cfg(feature = "sim")]
pub mod sim;
mod state;
mod stream;

pub use agent::{Agent, Buffers};
pub use config::Config;
pub use context::{Context, Progress};
pub use driver::{Bench, Perform, SlotDriver};
pub use exchange::{AsyncExchange, Exchange, ObjectRanges};
pub use gates::Gates;
pub use input::{BootReport, Fitness, Input, Plan, SlotsAnswer, Started};
pub use output::{Event, Output, SlotWork};
#[cfg(any(feature = "embedded-io", feature = "embedded-io-async"))]
pub use stream::StreamPort;
pub use stream::{MemoryTooSmall, StreamError, StreamLink, StreamLosses};

#[cfg(all(doctest, feature = "self-test", feature = "mqtt"))]
#[doc = include_str!("../README.md")]
struct Readme;

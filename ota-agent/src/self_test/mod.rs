//! Self-test of firmware on trial: probes of the hardware and of the server, and what runs them.
//!
//! **Promise.** Every probe ends within its own time or is ended, even when the clock stands still; a failure of one
//! hides no other; the watchdog is fed on progress alone; an outage of the server is inconclusive, never a failure.
//! Nothing is allocated, and nothing blocks for longer than one bus transfer or one slice of work.
//!
//! **Not here.** No drivers: buses and pins are `embedded-hal` 1, flash is `embedded-storage`, clocks and watchdogs
//! are closures. No promise that a part which tells its name also works.
//!
//! ```text
//!   probes, lent ---> [Check] ---> SelfTest::poll(now) ---> Turn::Progress, Ended   feed the watchdog, poll again
//!                                        ^                  Turn::Ask(nonce)        ask the server
//!                                        |                  Turn::Wait{until}       sleep
//!                 AuthenticFreshness --answer               Turn::Done(verdict)     Verdict::input() for the agent
//! ```
//!
//! | probe | asks | fails when |
//! |---|---|---|
//! | [`I2cIdentity`] | a register, under a mask | nobody acknowledges, the bus fails, another part answers |
//! | [`SpiIdentity`] | an identification command, such as JEDEC's | nobody drives the line, the bus fails, another part answers |
//! | [`GpioLoopback`] | one pin driven, another read, at both levels | it reads back otherwise |
//! | [`ClockRatio`] | two clocks, over a span of time | one stands still, or they disagree |
//! | [`FlashDigest`] | SHA-256 over a range of flash, in slices | flash does not read, or holds other bytes |
//! | [`StackWatermark`] | how much of a painted stack was never used | less than a margin |
//! | [`March`] | March C- over memory, in slices; leaves zeros | a cell is stuck, does not change, or follows another |
//! | [`MarchPreserving`] | the same within windows that are put back | as above, within half a window |
//! | [`Connectivity`] | a freshness reply to a nonce | never: without an answer it is inconclusive |
//!
//! [`Probe`] is for your own.
//!
//! ```
//! use ota_agent::self_test::{Check, FlashDigest, March, SelfTest, Turn, Verdict};
//! use ota_verify::Sha256;
//! # use embedded_storage::nor_flash::{ErrorType, ReadNorFlash};
//! # struct Flash([u8; 64]);
//! # impl ErrorType for Flash { type Error = core::convert::Infallible; }
//! # impl ReadNorFlash for Flash {
//! #     const READ_SIZE: usize = 4;
//! #     fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
//! #         bytes.copy_from_slice(&self.0[at as usize..][..bytes.len()]);
//! #         Ok(())
//! #     }
//! #     fn capacity(&self) -> usize { 64 }
//! # }
//! # let mut flash = Flash([7; 64]);
//! let (mut memory, mut slice) = ([0_u32; 32], [0; 16]);
//! let calibration = Sha256::of(&[&[7; 40]]);
//! let mut digest = FlashDigest::new(&mut flash, 8..48, calibration, &mut slice).unwrap();
//! let mut march = March::new(&mut memory, 64).unwrap();
//!
//! let mut checks = [Check::required(&mut digest), Check::required(&mut march)];
//! let mut test = SelfTest::new(&mut checks).unwrap();
//! let (mut now, mut fed) = (0, 0);
//! let verdict = loop {
//!     now += 1;
//!     if let Turn::Done(verdict) = test.poll_feeding(now, &mut || fed += 1) {
//!         break verdict;
//!     }
//! };
//! assert_eq!(verdict, Verdict::Passed);
//! assert!(fed >= 2, "between slices");
//! ```

mod clock;
mod connectivity;
mod fault;
mod flash;
mod gpio;
mod i2c;
mod march;
mod memory;
mod probe;
mod ram;
mod retry;
mod runner;
mod spi;
mod stack;
mod watchdog;

pub use clock::{ClockRatio, SpanRefused};
pub use connectivity::Connectivity;
pub use fault::Fault;
pub use flash::{FlashDigest, RangeRefused};
pub use gpio::GpioLoopback;
pub use i2c::I2cIdentity;
pub use memory::{Cells, Words};
pub use probe::{Outcome, Probe, Step};
pub use ram::{March, MarchPreserving, MemoryRefused};
pub use runner::{Check, MAX_PROBES, NoSelfTest, Probes, SelfTest, Summary, Turn, Verdict};
pub use spi::SpiIdentity;
pub use stack::StackWatermark;
pub use watchdog::Watchdog;

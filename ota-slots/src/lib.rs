//! A/B firmware slots that no power cut, torn word or marginal bit can brick.
//!
//! **Promise.** After any history (cuts at any flash operation, half-written words, interrupted erases, bits that read
//! differently each time, arbitrary garbage in the journal) a slot that proves itself is handed over as long as one exists,
//! and only a slot that was proven during this very boot. An image that does not confirm itself gets its attempts and no
//! more. A confirmed image never goes back by itself. No allocation, no panic, bounded work.
//!
//! **Not here.** No transport (`ota-agent`), no keys (`ota-verify`), no watchdog and no jump: those are the board's.
//!
//! ```text
//!   bootloader                                 application
//!   ----------                                 -----------
//!   Boot: scan journal                         Opened::open
//!         prove slot from flash                App::begin -> Staging: find_resume_point, erase_block, store_chunk
//!         write down, then hand over           App::finish (proves from flash) -> Staged
//!             |                                App::request_boot(Staged) -> Reboot
//!             v                                        |
//!          Handover --------- jump ---------> App<Trial>::confirm  or  fail, or the watchdog decides
//! ```
//!
//! Flash sequences are machines ([`Machine`]) that say which operation ([`Op`]) is next; [`run_blocking`] and, with
//! feature `async`, `run_async` are the only two loops. The smallest bootloader:
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! # use ota_slots::sim::Lab;
//! # let lab = Lab::new();
//! # let (mut flash, layout, policy) = (lab.provisioned(&lab.release(1, 5000)), lab.layout(), lab.policy());
//! use ota_manifest::ResetCause;
//! use ota_slots::{Boot, WORK_BUFFER, run_blocking};
//!
//! // Yours: a NorFlash, a constant Layout, a constant Policy, and 2 KiB to work in.
//! let mut buffer = [0; WORK_BUFFER];
//! let boot = Boot::new(&layout, &policy, ResetCause::PowerOn);
//! match run_blocking(boot, &mut flash, &layout, &mut buffer, || { /* feed the watchdog */ }) {
//!     Ok(handover) => assert_eq!(handover.image().order().sequence, 1), // jump to its link_address()
//!     Err(nothing_bootable) => panic!("blink, wait, try again; never write: {nothing_bootable}"),
//! }
//! # }
//! ```
//!
//! # Features
//! - `async`: `run_async` over `embedded-storage-async`.
//! - `sim`: [`sim`], the simulated flash that cuts, tears and decays; for tests of this crate and of your port.
//!
//! # Compatibility
//! Record and descriptor bytes are frozen per format number; see [`Snapshot`] and [`BootDescriptor`]. A shipped
//! bootloader's journal format never changes.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod app;
mod boot;
mod decision;
mod descriptor;
mod journal;
mod layout;
mod op;
mod parts;
mod prove;
mod provision;
#[cfg(feature = "sim")]
pub mod sim;
mod snapshot;
mod staging;

pub use app::{
    App, Begin, BeginError, Confirm, Confirmed, Fail, Finish, FinishError, MayBegin, MayConfirm, Open,
    OpenError, Opened, Reboot, RequestBoot, RequestError, Save, Staged, Stranded, Trial,
};
pub use boot::{Boot, Handover, NothingBootable};
pub use decision::{Action, Decision, Input};
pub use descriptor::BootDescriptor;
pub use journal::JournalError;
pub use layout::{Geometry, Layout, LayoutError, Region, SlotId, SlotRegion};
#[cfg(feature = "async")]
pub use op::run_async;
pub use op::{Machine, Op, Outcome, Place, Step, WORK_BUFFER, run_blocking};
pub use parts::ErasePages;
pub use prove::{Policy, SlotError};
pub use provision::{Provision, ProvisionError};
pub use snapshot::{
    BROWN_OUT_BUDGET, Event, JOURNAL_FORMAT, OPAQUE, RECORD, REJECTED, SlotState, Snapshot, Strategy,
};
pub use staging::{
    CheckLeaves, FindResumePoint, LoadChunk, ResumePoint, Staging, StoreChunk, StoreError, StoreLeaves,
};

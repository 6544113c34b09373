//! A/B firmware slots that no power cut, torn word or marginal bit can brick.
//!
//! **Promise.** After any history (cuts at any flash operation, half-written words, interrupted erases, bits that read
//! differently each time, arbitrary garbage in the journal) a slot that proves itself is handed over as long as one exists,
//! and only a slot that was proven during this very boot. An image that does not confirm itself gets its attempts and no
//! more. A confirmed image never goes back by itself. No allocation, no panic, bounded work. What this does not cover is
//! listed in `docs/power-fail.md`.
//!
//! **Not here.** No transport (`ota-agent`), no keys (`ota-verify`), no watchdog and no jump: those are the board's.
//!
//! ```text
//!   bootloader                                 application
//!   ----------                                 -----------
//!   Guard: floor, adopted keys                 Opened::open (refuses if bootloader and application disagree)
//!   Boot: scan journal                         App::begin -> Staging: find_resume_point, erase_block, store_chunk
//!         prove slot from flash                App::finish (proves from flash) -> Staged
//!         [move it, prove it again]            App::request_boot(Staged) -> Reboot
//!         write down, then hand over                   |
//!             |                                        v
//!          Handover --- lock, jump ----------> App<Trial>::confirm  or  fail, or the watchdog decides
//! ```
//!
//! Three strategies, chosen by the [`Partition`]: images run where they are staged ([`Boot::new`] decides), or are swapped
//! or copied to where they run ([`Boot::moving`]). The README compares them, and has a complete bootloader.
//!
//! Flash sequences are machines ([`Machine`]) that say which operation ([`Op`]) is next; [`run_blocking`] and, with
//! feature `async`, `run_async` are the only two loops. The heart of a bootloader:
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
//!     Ok(handover) => assert_eq!(handover.image().order().sequence, 1), // lock, then jump
//!     Err(recovery) => panic!("blink, wait, try again; never write: {recovery}"),
//! }
//! # }
//! ```
//!
//! # Features
//! - `async`: `run_async` over `embedded-storage-async`.
//! - `sim`: [`sim`], the simulated flash that cuts, tears and decays; for tests of this crate and of your port.
//!
//! # Compatibility
//! Cells of journal, progress and guard, slot layouts and the descriptor are frozen per format number; see [`Snapshot`],
//! [`Layout`] and [`BootDescriptor`]. A shipped bootloader's journal format never changes.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod activation;
mod app;
mod boot;
mod decision;
mod descriptor;
mod guard;
mod joined;
mod journal;
mod layout;
mod log;
mod motion;
mod op;
mod parts;
mod prove;
mod provision;
#[cfg(feature = "sim")]
pub mod sim;
mod snapshot;
mod staging;
mod trust;

pub use activation::{Activation, InPlace, Motion, MotionKind, Moving};
pub use app::{
    App, Begin, BeginError, Confirm, Confirmed, Fail, Finish, FinishError, MayBegin, MayConfirm, OfferError,
    OfferTrust, Open, OpenError, Opened, Reboot, RequestBoot, RequestError, Save, Staged, Stranded, Trial,
    TrustOffer,
};
pub use boot::{Boot, Handover, Recovery};
pub use decision::{Action, Decision, Input};
pub use descriptor::BootDescriptor;
pub use guard::{Guard, NoteGuard, ReadGuard};
pub use joined::{Joined, JoinedError};
pub(crate) use layout::round_up;
pub use layout::{Geometry, Layout, LayoutError, Partition, Region, Site, SlotId, SlotRegion, Strategy};
pub use log::{JOURNAL_FORMAT, JournalError};
#[cfg(feature = "async")]
pub use op::run_async;
pub use op::{Machine, Op, Outcome, Place, Step, WORK_BUFFER, run_blocking};
pub use prove::{Policy, ProveSlot, SlotError};
pub use provision::{Provision, ProvisionError};
pub use snapshot::{BROWN_OUT_BUDGET, Event, OPAQUE, RECORD, REJECTED, SlotState, Snapshot};
pub use staging::{
    CheckLeaves, EraseInTurn, FindResumePoint, LoadChunk, ResumePoint, Staging, StoreChunk, StoreError,
    StoreLeaves,
};
pub use trust::{Adopt, AdoptError, MendTrust, ReadInbox, ReadTrust, TRUST_MEMORY, TrustMemoryError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/power-fail.md")]
struct PowerFail;

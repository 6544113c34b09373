//! Firmware campaigns that stop themselves.
//!
//! **Promise.** A device is offered nothing that its own verifier would refuse. Never more devices are in flight than the
//! plan allows, no wave begins before the gate of the one before is passed, and when devices roll back the campaign halts
//! by itself: from then on nothing is offered. Success is a device that confirmed its image after testing it, and nothing
//! earlier. Everything a device was told is committed before it is told; a server that is killed goes on where it was.
//!
//! **Not here.** No device code, no flash, no cryptography of its own (`ota-verify` signs and proves), no web console. The
//! engine has no clock, no network and no SQL: time is an argument, rows are an output.
//!
//! ```text
//!   device --poll, report--+                      +--> Batch --> Store (memory, SQLite)
//!                          v                      |
//!   operator --command--> step(state, event, now) +--> answer: Offer, Idle, Ack, Cancel ... (after the commit)
//!                          ^                      |
//!   clock --tick-----------+                      +--> bells --> Notifier
//!
//!   image --> ArtifactStore --> describe --> Signer --> prove as a device would --> Release
//! ```
//!
//! The smallest loop: one device, one canary, one rollback, and nobody else is offered anything.
//!
//! ```
//! use ota_manifest::wire::{FailedProbes, PROTOCOL, Poll, Report, ResetCause, RollbackReason, Stage};
//! use ota_manifest::{DeviceId, Digest, HardwareRange, ManifestId, Order, SecurityVersion, Version};
//! use ota_server_core::*;
//!
//! let mut engine = Engine::new();
//! let (ann, bob) = (Actor::new("ann", &[Role::Author]), Actor::new("bob", &[Role::Approver]));
//! let mut operator = |engine: &mut Engine, actor: &Actor, command| {
//!     engine.step(Event::Operator { actor, command }, UnixMs(1)).unwrap().answer
//! };
//! let devices = [DeviceId::new([1; 16]), DeviceId::new([2; 16])];
//! for device in devices {
//!     operator(&mut engine, &ann, Command::Enrol { device, name: "bench".into(), token: Digest::new([0; 32]) });
//! }
//! // `Fleet::publish` makes this from uploaded images; a bare engine believes its caller.
//! let release = Release {
//!     no: ReleaseNo(0), version: Version::new(1, 2, 0), order: Order { epoch: 0, sequence: 2 },
//!     security_version: SecurityVersion(0), manifest: ManifestId::new([2; 8]), vendor: String::new(), class: String::new(),
//!     hardware: HardwareRange::ANY, min_bootloader: 0, images: vec![], envelope: vec![], author: String::new(),
//!     published: UnixMs(0),
//! };
//! operator(&mut engine, &ann, Command::Publish(Box::new(release)));
//! let plan = Plan { waves: vec![Wave::Count(1), Wave::Percent(100)], soak_ms: 0, ..Plan::default() };
//! operator(&mut engine, &ann, Command::Create {
//!     name: "1.2.0".into(), release: ReleaseNo(1), plan: Box::new(plan), target: Target::All, salt: [3; 16],
//! });
//! operator(&mut engine, &ann, Command::Submit(CampaignNo(1)));
//! operator(&mut engine, &bob, Command::Approve(CampaignNo(1)));
//!
//! let says = Poll {
//!     protocol: PROTOCOL, version: Version::new(1, 1, 0), order: Order { epoch: 0, sequence: 1 },
//!     floor: SecurityVersion(0), running: ManifestId::new([1; 8]), bootloader: 1, hardware: 1,
//! };
//! let mut ask = |engine: &mut Engine, device| engine.step(Event::Poll { device, poll: &says }, UnixMs(2)).unwrap().answer;
//! let offers: Vec<_> = devices.map(|device| (device, ask(&mut engine, device))).into();
//! let (canary, job) = offers.iter().find_map(|(device, answer)| match answer {
//!     Answer::Offer { job, .. } => Some((*device, *job)),
//!     _ => None,
//! }).unwrap();
//!
//! let stage = Stage::RolledBack { reason: RollbackReason::SelfTest, cause: ResetCause::Software, boots: 1, failed: FailedProbes::NONE };
//! let report = Report { job, attempt: 1, seq: 9, stage };
//! engine.step(Event::Report { device: canary, report: &report }, UnixMs(3)).unwrap();
//! assert_eq!(engine.campaign(CampaignNo(1)).unwrap().campaign.state.name(), "halted");
//! assert!(devices.iter().all(|device| ask(&mut engine, *device) == Answer::Idle));
//! ```
//!
//! # Features
//! The engine is `no_std` with an allocator; each feature adds an adapter and changes nothing else.
//! - `fleet`: [`Fleet`], the glue between engine, store, artifacts, signer and bell, on tokio.
//! - `http`: device delivery and the operator's API ([`http`]), with `axum`. Implies `fleet`.
//! - `mqtt`: doorbell and reports over a broker ([`mqtt`]), with `rumqttc-next`. Implies `fleet`; needs Rust 1.89.
//! - `sqlite`: [`store::SqliteStore`], with `sqlx`; needs Rust 1.94.
//! - `fs-artifacts`: [`artifact::FsArtifacts`], with `object_store`.
//! - `software-signer`: [`signing::SoftwareSigner`], an Ed25519 key in a [`private_file`].
//! - `lms-signer`: [`signing::LmsFileSigner`], an LMS key in a [`private_file`], which uses no leaf twice; needs Rust 1.89.
//! - `pkcs11`: [`signing::Pkcs11Signer`], an Ed25519 or P-256 key in a PKCS#11 token, with `cryptoki`.
//!
//! # Limits
//! One process owns a store; another one is found out by its version and refused. Jobs of all campaigns are held in memory.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod artifact;
mod audit;
pub mod auth;
mod campaign;
mod clock;
mod device;
pub mod engine;
mod error;
#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "http")]
pub mod http;
mod job;
#[cfg(feature = "mqtt")]
pub mod mqtt;
mod names;
pub mod notify;
mod operator;
mod plan;
#[cfg(any(feature = "software-signer", feature = "lms-signer"))]
pub mod private_file;
mod release;
pub mod rollout;
#[cfg(feature = "std")]
pub mod signing;
mod state;
pub mod store;
mod trust;

pub use audit::{AuditHead, AuditRow, first_broken};
pub use campaign::{Approval, Campaign, CampaignNo, CampaignState, Target};
#[cfg(feature = "std")]
pub use clock::SystemClock;
pub use clock::{Clock, UnixMs};
pub use device::Device;
pub use engine::{Answer, Effects, Engine, Event};
pub use error::CommandError;
#[cfg(feature = "fleet")]
pub use fleet::{Fleet, FleetConfig, FleetError, Parts, PinnedTrust, PublishError, TrustRefused};
pub use job::{Effect, Job, JobParts, MAX_JOB_EVENTS};
pub use names::fault_name;
pub use operator::{Actor, Command, Role};
pub use plan::{Gate, HaltRule, MAX_HALT_RULES, MAX_WAVES, Outcome, Plan, PlanError, Timeouts, Wave};
pub use release::{Blob, Fit, Release, ReleaseImage, ReleaseNo};
pub use rollout::{HaltReason, Tally};
pub use state::{JobKind, JobState, StateColumns};
pub use store::{Batch, JobEvent, JobRow, Snapshot, Store, StoreError, StoreVersion};
pub use trust::TrustRow;

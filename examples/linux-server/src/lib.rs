//! The reference server: thin wiring around `ota-server-core`.
//!
//! ```text
//!   DIR/ota.sqlite        campaigns, jobs, devices, audit log: open it with any SQLite tool
//!   DIR/artifacts/        images and leaf lists, named by their SHA-256
//!   DIR/release.key       the release key, Ed25519, readable by its owner only; not with --pkcs11
//!   DIR/release.pub       the public half that devices trust, whatever signs
//!   DIR/freshness.key     the freshness key, Ed25519, readable by its owner only
//!   DIR/freshness.pub     its public half
//!   DIR/operator.tokens   name, roles and token of each operator, readable by its owner only
//!   DIR/lock              held while a server runs on the folder
//! ```
//!
//! The smallest loop: start, talk to it as an operator, stop.
//!
//! ```
//! use linux_server::{Config, OperatorClient, start};
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! let folder = tempfile::tempdir()?;
//! let server = start(Config::local(folder.path())).await?;
//! let author = OperatorClient::new(&server.url(), &server.tokens().author);
//! let devices = tokio::task::spawn_blocking(move || author.devices()).await??;
//! assert!(devices.is_empty());
//! server.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`pki`] makes the certificates for an MQTT broker, and its configuration. `otactl` is both from a shell.
#![forbid(unsafe_code)]

mod bell;
mod client;
mod config;
mod operators;
pub mod pki;
mod release_key;
mod server;
mod trust_options;

pub use bell::BellOptions;
pub use client::{ClientError, OperatorClient, Verb};
pub use config::Config;
pub use operators::{OperatorTokens, operator_token};
pub use release_key::{KeyType, SigningOptions, is_callers_fault};
pub use server::{Running, start};
pub use trust_options::TrustOptions;

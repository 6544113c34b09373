//! The shapes of the operator's API. Ids and digests are lower-case hexadecimal, times milliseconds since 1970-01-01 UTC.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::campaign::Approval;
use crate::plan::Plan;

/// An image that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedImage {
    /// SHA-256 of the bytes.
    pub sha256: String,
    /// Length in bytes.
    pub size: u64,
}

/// A release to be signed and published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRelease {
    /// Its name for people: `1.2.0` or `1.2.0+7`.
    pub version: String,
    /// First half of the order; changed only to recover from a key compromise.
    #[serde(default)]
    pub epoch: u16,
    /// Second half of the order; rises with each release.
    pub sequence: u32,
    /// Anti-rollback counter; raise it only when older firmware must never run again.
    #[serde(default)]
    pub security_version: u32,
    /// Maker of the devices, 32 hexadecimal digits.
    pub vendor: String,
    /// Kind of device, 32 hexadecimal digits.
    pub class: String,
    /// Lowest hardware revision.
    #[serde(default)]
    pub hardware_min: u16,
    /// Highest hardware revision.
    #[serde(default = "any_hardware")]
    pub hardware_max: u16,
    /// Lowest bootloader version.
    #[serde(default)]
    pub min_bootloader: u16,
    /// Seconds from boot to confirm.
    #[serde(default = "confirm_window")]
    pub confirm_window_s: u16,
    /// Boots to confirm in, at least 2.
    #[serde(default = "trial_attempts")]
    pub trial_attempts: u8,
    /// The images, one for each slot address.
    pub images: Vec<NewImage>,
}

fn any_hardware() -> u16 {
    u16::MAX
}

fn confirm_window() -> u16 {
    900
}

fn trial_attempts() -> u8 {
    3
}

/// An image of a release to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// SHA-256 as the upload returned it.
    pub sha256: String,
    /// Address it is linked for.
    pub link_address: u32,
}

/// A published release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseInfo {
    /// Its number.
    pub release: u32,
    /// Its name for people.
    pub version: String,
    /// First half of the order.
    pub epoch: u16,
    /// Second half of the order.
    pub sequence: u32,
    /// Anti-rollback counter.
    pub security_version: u32,
    /// The signed manifest's id.
    pub manifest: String,
    /// Maker of the devices.
    pub vendor: String,
    /// Kind of device.
    pub class: String,
    /// Its images.
    pub images: Vec<ImageInfo>,
    /// Who published it.
    pub author: String,
    /// When.
    pub published_ms: u64,
}

/// An image of a published release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Address it is linked for.
    pub link_address: u32,
    /// SHA-256 of the image.
    pub sha256: String,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its leaf list.
    pub leaves_sha256: String,
    /// Length of the leaf list in bytes.
    pub leaves_size: u64,
}

/// A campaign to be drafted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCampaign {
    /// A name for people.
    pub name: String,
    /// Number of the release.
    pub release: u32,
    /// The knobs; what is left out keeps its careful default.
    #[serde(default)]
    pub plan: Plan,
    /// The devices; all that are enrolled when it is submitted, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignInfo {
    /// Its number.
    pub campaign: u32,
    /// Its name for people.
    pub name: String,
    /// Who wrote it.
    pub author: String,
    /// What it brings.
    pub release: u32,
    /// `draft awaiting_approval scheduled running paused halted completed aborted`.
    pub state: String,
    /// The wave it stands in, from 0.
    pub wave: Option<u16>,
    /// Why it halted, for people.
    pub halt_reason: Option<String>,
    /// Who approved, and when.
    pub approvals: Vec<Approval>,
    /// When it was made.
    pub created_ms: u64,
    /// When its state last changed.
    pub changed_ms: u64,
    /// When it halted.
    pub halted_ms: Option<u64>,
    /// Since when the gate of the running wave is passed.
    pub gate_since_ms: Option<u64>,
    /// The knobs.
    pub plan: Plan,
    /// Jobs by state; every state is named.
    pub counters: BTreeMap<String, u32>,
    /// Its waves; empty before it is submitted.
    pub waves: Vec<WaveInfo>,
}

/// A wave of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveInfo {
    /// Devices up to here, counted from the first of the campaign.
    pub reach: u32,
    /// Jobs that this wave added, by state; states without jobs are left out.
    pub counters: BTreeMap<String, u32>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Its id.
    pub job: String,
    /// Its campaign.
    pub campaign: u32,
    /// Its device.
    pub device: String,
    /// Its place in the campaign's order, from 0.
    pub rank: u32,
    /// The wave that reaches it, from 0.
    pub wave: u16,
    /// Where it stands.
    pub state: String,
    /// Rollback reason, refusal, failed stage or silent stage.
    pub reason: Option<String>,
    /// Reset cause of a rollback.
    pub cause: Option<String>,
    /// Boots the image got before a rollback.
    pub boots: Option<u8>,
    /// The device's own code of a failure, or of the probe that decided over a trial.
    pub code: Option<u16>,
    /// Bit n: probe n of the self-test failed; absent if none did.
    #[serde(default)]
    pub probes: Option<u32>,
    /// The current attempt.
    pub attempt: u8,
    /// Bytes proven and in flash.
    pub done: u32,
    /// When it was last offered anew.
    pub offered_ms: Option<u64>,
    /// When state or progress last changed.
    pub changed_ms: u64,
    /// Confirmed because the device ran the release already when it asked: no success of this campaign.
    pub installed_before: bool,
    /// Polls answered "nothing" because the campaign had stopped.
    pub turned_away: u32,
    /// Bytes of images and leaf lists sent for it.
    pub served: u64,
}

/// A job and everything that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHistory {
    /// The job.
    pub job: JobInfo,
    /// What happened, oldest first.
    pub events: Vec<JobEventInfo>,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEventInfo {
    /// When the server saw it.
    pub at_ms: u64,
    /// At which attempt.
    pub attempt: u8,
    /// The device's sequence number; absent for what the server did.
    pub seq: Option<u32>,
    /// What.
    pub what: String,
    /// It came too late to say anything new.
    pub late: bool,
    /// Bytes proven and in flash.
    pub done: Option<u32>,
    /// Bytes in all.
    pub total: Option<u32>,
    /// Rollback reason, refusal, failed stage or silent stage.
    pub reason: Option<String>,
    /// Reset cause.
    pub cause: Option<String>,
    /// Boots the image got.
    pub boots: Option<u8>,
    /// The device's code, of a failure or of the probe that decided over a trial.
    pub code: Option<u16>,
    /// Bit n: probe n of the self-test failed; absent if none did.
    #[serde(default)]
    pub probes: Option<u32>,
}

/// A device to be enrolled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDevice {
    /// Its id, 32 hexadecimal digits; a random one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// A name for people.
    pub name: String,
}

/// A device that was enrolled. The token is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledDevice {
    /// Its id.
    pub device: String,
    /// Its bearer token.
    pub token: String,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its id.
    pub device: String,
    /// Its name for people.
    pub name: String,
    /// When it was enrolled.
    pub enrolled_ms: u64,
    /// When it was removed.
    pub removed_ms: Option<u64>,
    /// When it last asked.
    pub last_poll_ms: Option<u64>,
    /// How often it asked.
    pub polls: u64,
    /// The protocol it last said it speaks; a device with one that the server does not is offered nothing.
    #[serde(default)]
    pub protocol: Option<u8>,
    /// The version it last said it runs.
    pub version: Option<String>,
    /// The manifest it last said it runs.
    pub running: Option<String>,
    /// Version of the trust in force on it, as it said when it last asked for freshness.
    #[serde(default)]
    pub trust: Option<u32>,
}

/// The trust documents of a server, and where its devices are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustChain {
    /// What devices were made with; absent if the server was not told.
    pub pinned: Option<PinnedInfo>,
    /// The documents, the oldest first.
    pub documents: Vec<TrustInfo>,
    /// How many enrolled devices are at which version.
    pub devices: BTreeMap<u32, u32>,
    /// How many have not said.
    pub unknown: u32,
}

/// The trust that devices were made with, as far as documents are held against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedInfo {
    /// Its version.
    pub version: u32,
    /// Its root keys, in hexadecimal.
    pub roots: Vec<String>,
    /// How many of them must sign the next document.
    pub root_threshold: u8,
}

/// A trust document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustInfo {
    /// Its place in the chain.
    pub version: u32,
    /// SHA-256 of the signed envelope.
    pub sha256: String,
    /// Length of the signed envelope in bytes.
    pub size: u64,
    /// Last open epoch.
    pub epoch: u16,
    /// Orders below this one are withdrawn: epoch.
    pub min_epoch: u16,
    /// And sequence.
    pub min_sequence: u32,
    /// The keys, and how many of them must sign, by role: `root release approval freshness`. A role without keys is left out.
    pub roles: BTreeMap<String, RoleInfo>,
    /// Who uploaded it.
    pub author: String,
    /// When.
    pub added_ms: u64,
}

/// The keys of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleInfo {
    /// How many must sign.
    pub threshold: u8,
    /// Whether a classical and a post-quantum signature must be among them.
    pub hybrid: bool,
    /// The public keys, in hexadecimal.
    pub keys: Vec<String>,
}

/// A trust document that is in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedTrust {
    /// The document.
    #[serde(flatten)]
    pub document: TrustInfo,
    /// Whether it was not there before.
    pub is_new: bool,
    /// Whether devices that adopt it believe this server's freshness replies.
    pub is_fresh: bool,
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditInfo {
    /// Number, from 1.
    pub seq: u64,
    /// When.
    pub at_ms: u64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Why.
    pub detail: String,
    /// Hash of the row before.
    pub prev: String,
    /// Hash of this row.
    pub hash: String,
}

/// What went wrong, after RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Always `about:blank`.
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
    /// `operator`, `signer`, `storage` or `server`.
    pub fault: String,
}

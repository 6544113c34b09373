//! People: who they are, what they may do, and what they can ask of the engine.

use alloc::string::String;

use ota_manifest::{DeviceId, Digest};

use crate::campaign::{CampaignNo, Target};
use crate::error::CommandError;
use crate::plan::Plan;
use crate::release::{Release, ReleaseNo};
use crate::trust::TrustRow;

/// Something an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Look.
    Viewer = 1,
    /// Upload, publish, add trust documents, write campaigns, enrol devices; pause and abort.
    Author = 2,
    /// Approve campaigns of others; pause and abort.
    Approver = 4,
}

crate::names::names!(Role {
    Viewer => "viewer",
    Author => "author",
    Approver => "approver",
});

impl Role {
    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        crate::names::Named::name(self)
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        crate::names::Named::parse(name)
    }
}

/// An operator, as authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    roles: u8,
}

impl Actor {
    /// An operator of this name with these roles.
    #[must_use]
    pub fn new(name: &str, roles: &[Role]) -> Self {
        Self { name: name.into(), roles: roles.iter().fold(0, |set, role| set | *role as u8) }
    }

    /// The name that stands in the audit log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the operator has this role.
    #[must_use]
    pub const fn has(&self, role: Role) -> bool {
        self.roles & role as u8 != 0
    }

    /// Insists on a role.
    ///
    /// # Errors
    /// [`CommandError::NeedsRole`].
    pub fn need(&self, role: Role) -> Result<(), CommandError> {
        if self.has(role) { Ok(()) } else { Err(CommandError::NeedsRole(role.name())) }
    }

    /// Insists on a role that can stop things: any but looking on.
    pub(crate) fn need_brake(&self) -> Result<(), CommandError> {
        if self.has(Role::Author) { Ok(()) } else { self.need(Role::Approver) }
    }
}

/// What an operator asks of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Writes into the audit log that an image was uploaded.
    NoteUpload {
        /// SHA-256 of the image.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// Adds a release. Its envelope and artifacts were proven by the caller; its number is given by the engine.
    Publish(alloc::boxed::Box<Release>),
    /// Adds a trust document. It was proven by the caller; who and when is filled in by the engine.
    AddTrust {
        /// The document.
        row: alloc::boxed::Box<TrustRow>,
        /// What the audit log shall say of it, beside its SHA-256.
        note: &'static str,
    },
    /// Adds a draft campaign.
    Create {
        /// A name for people.
        name: String,
        /// What it brings.
        release: ReleaseNo,
        /// How.
        plan: alloc::boxed::Box<Plan>,
        /// To whom.
        target: Target,
        /// Random bytes.
        salt: [u8; 16],
    },
    /// Fixes the devices of a draft and asks for approval.
    Submit(CampaignNo),
    /// Consents to a campaign.
    Approve(CampaignNo),
    /// Holds a running campaign.
    Pause(CampaignNo),
    /// Lets a paused one go on.
    Resume(CampaignNo),
    /// Ends a campaign for good.
    Abort(CampaignNo),
    /// Adds a device.
    Enrol {
        /// Which one.
        device: DeviceId,
        /// A name for people.
        name: String,
        /// SHA-256 of its token.
        token: Digest,
    },
    /// Takes a device out; its open jobs are closed and its token is no longer good.
    Remove(DeviceId),
}

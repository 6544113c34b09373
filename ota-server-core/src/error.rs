//! What an operator can get wrong.

use thiserror::Error;

use crate::campaign::CampaignNo;
use crate::plan::PlanError;
use crate::release::ReleaseNo;

/// Why the engine did not do what an operator asked. Nothing has changed when this is returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The operator's roles do not include this one.
    #[error("this needs the role {0}")]
    NeedsRole(&'static str),
    /// There is no such campaign.
    #[error("there is no campaign {0}")]
    NoCampaign(CampaignNo),
    /// There is no such release.
    #[error("there is no release {0}")]
    NoRelease(ReleaseNo),
    /// There is no such device, or it was removed.
    #[error("there is no such device")]
    NoDevice,
    /// The device is enrolled already; remove it first.
    #[error("the device is enrolled already; remove it first")]
    EnrolledAlready,
    /// The campaign's state does not allow it.
    #[error("a campaign that is {state} cannot be {verb}")]
    WrongState {
        /// The campaign's state.
        state: &'static str,
        /// What was asked.
        verb: &'static str,
    },
    /// An author approved his own campaign.
    #[error("the author of a campaign cannot approve it; ask a colleague")]
    OwnCampaign,
    /// The same person approved twice.
    #[error("this operator has approved already; another one must")]
    ApprovedAlready,
    /// The plan leaves something open.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The release's order is not above the ones already published for the class.
    #[error("the order must rise: release {0} of the same class has an order as high or higher")]
    OrderNotRising(ReleaseNo),
    /// No device matches the campaign's target.
    #[error("no enrolled device matches the target")]
    NobodyTargeted,
    /// Another trust document was added meanwhile.
    #[error("trust document {0} does not follow the newest one any more")]
    TrustNotNext(u32),
    /// A name that is empty or too long.
    #[error("a name has 1 to 200 bytes")]
    BadName,
}

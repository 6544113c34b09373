//! What the agent is told of how machines end.

use ota_manifest::wire::Refusal;
use ota_slots::{BeginError, FinishError, OfferError, Staged, StoreError, TrustOffer};
use ota_verify::AdmitError;

use crate::SlotsAnswer;

/// Codes of failures of journal and flash. Frozen.
mod code {
    pub(super) const JOURNAL: u16 = 0x0601;
    pub(super) const FLASH: u16 = 0x0602;
    pub(super) const MISUSE: u16 = 0x0603;
    pub(super) const FRAME: u16 = 0x0604;
}

pub(super) const fn failed(code: u16) -> SlotsAnswer {
    SlotsAnswer::Failed { code }
}

/// The agent asked for something its slots are not in a state for.
pub(super) const fn misuse() -> SlotsAnswer {
    failed(code::MISUSE)
}

/// Not an envelope at all.
pub(super) const fn no_frame() -> SlotsAnswer {
    failed(code::FRAME)
}

/// A manifest that is not authentic: on the wire without details.
pub(super) const fn unauthentic(code: u16) -> SlotsAnswer {
    SlotsAnswer::Refused { refusal: Refusal::Unauthentic, code }
}

/// The same, and not an envelope at all.
pub(super) const fn unframed() -> SlotsAnswer {
    unauthentic(code::FRAME)
}

pub(super) fn recorded<T, E>(result: Result<T, E>) -> SlotsAnswer {
    result.map_or(failed(code::JOURNAL), |_| SlotsAnswer::Done)
}

pub(super) fn flashed<E>(result: Result<(), E>) -> SlotsAnswer {
    result.map_or(failed(code::FLASH), |()| SlotsAnswer::Done)
}

/// A chunk that does not read is fetched once more.
pub(super) fn loaded(result: Result<(), StoreError>) -> SlotsAnswer {
    result.map_or(SlotsAnswer::ChunkRefused, |()| SlotsAnswer::Done)
}

pub(super) fn stored(result: Result<(), StoreError>) -> SlotsAnswer {
    match result {
        Err(StoreError::Flash(error)) => flashed(Err(error)),
        result => loaded(result),
    }
}

pub(super) fn finished(result: Result<Staged, FinishError>) -> SlotsAnswer {
    match result {
        Ok(staged) => SlotsAnswer::Finished(staged),
        Err(FinishError::Slot(error)) => failed(error.code()),
        Err(_) => failed(code::JOURNAL),
    }
}

pub(super) fn offered(result: Result<TrustOffer, OfferError>) -> SlotsAnswer {
    match result {
        Ok(offer) => SlotsAnswer::TrustOffered(offer),
        Err(OfferError::Flash(_)) => failed(code::FLASH),
        Err(_) => misuse(),
    }
}

pub(super) fn begin_failed(error: BeginError) -> SlotsAnswer {
    let refused = |refusal| SlotsAnswer::Refused { refusal, code: code::MISUSE };
    match error {
        BeginError::Journal(_) => failed(code::JOURNAL),
        BeginError::Flash(_) => failed(code::FLASH),
        BeginError::RejectedBefore => refused(Refusal::RejectedBefore),
        BeginError::NotNewer => refused(Refusal::NotNewer),
        BeginError::EventOpen | BeginError::PendingBoot => refused(Refusal::Busy),
        _ => refused(Refusal::Unsupported),
    }
}

/// What the server may know of a refusal. Nothing here is secret: the manifest was authentic.
pub(super) fn not_admitted(error: AdmitError) -> SlotsAnswer {
    let refusal = match error {
        AdmitError::WrongVendor
        | AdmitError::WrongClass
        | AdmitError::WrongHardware
        | AdmitError::WrongDevice => Refusal::NotForThisDevice,
        AdmitError::NotNewer | AdmitError::BelowMinOrder => Refusal::NotNewer,
        AdmitError::BelowFloor => Refusal::BelowFloor,
        AdmitError::RejectedBefore => Refusal::RejectedBefore,
        AdmitError::Expired => Refusal::Expired,
        AdmitError::UnmetDependency | AdmitError::EpochNotOpen | AdmitError::BootloaderTooOld { .. } => {
            Refusal::NotYet
        }
        AdmitError::NoImageForSlot | AdmitError::TooLarge { .. } => Refusal::NoFittingImage,
        _ => Refusal::Unsupported,
    };
    SlotsAnswer::Refused { refusal, code: error.code() }
}

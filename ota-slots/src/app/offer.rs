//! Handing a trust document to the bootloader.

use ota_manifest::{Frame, Kind};

use super::{App, MayBegin, OfferError};
use crate::op::{Machine, Outcome, Place, Step, drive};
use crate::parts::{ErasePages, WriteBytes};

impl<S: MayBegin> App<'_, S> {
    /// Puts the envelope of a trust document where the bootloader looks for the next one. It adopts it at the next boot at
    /// which this firmware is confirmed and no update is under way, if it proves itself.
    ///
    /// # Errors
    /// [`OfferError`] without a write for anything but the flash itself. Whether the document is authentic is left to the
    /// bootloader.
    pub fn offer_trust<'m>(&self, envelope: &'m [u8]) -> Result<OfferTrust<'m>, OfferError> {
        let inbox = self.layout.region(Place::Inbox(0)).ok_or(OfferError::NoPlace)?;
        let is_trust = Frame::parse(envelope).is_ok_and(|frame| frame.kind() == Kind::Trust);
        if !is_trust || envelope.len() > self.layout.trust_limit() {
            return Err(OfferError::WrongEnvelope);
        }
        let erase = ErasePages::new(self.layout, Place::Inbox(0), inbox.len);
        let write = WriteBytes::new(self.layout, Place::Inbox(0), envelope);
        Ok(OfferTrust { erase: Some(erase), write })
    }
}

/// See [`App::offer_trust`].
#[derive(Debug)]
pub struct OfferTrust<'m> {
    erase: Option<ErasePages>,
    write: WriteBytes<'m>,
}

impl Machine for OfferTrust<'_> {
    type Output = Result<(), OfferError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        if let Some(erase) = &mut self.erase {
            last = drive!(erase, buffer, last);
            self.erase = None;
        }
        if let Err(error) = last {
            return Step::Done(Err(OfferError::Flash(error)));
        }
        Step::Done(drive!(self.write, buffer, last).map_err(OfferError::Flash))
    }
}

//! Handing a trust document to the bootloader.

use ota_manifest::{Frame, Kind};

use super::{App, MayBegin, OfferError, View};
use crate::op::{Machine, Op, Outcome, Place, Step, drive};
use crate::parts::{ErasePages, PIECE, WriteBytes};

/// Times that what is there must read as the document before it counts as written. A bit that was being programmed when power
/// failed may read right now and wrong to the bootloader, which then had nothing to adopt; written anew it lasts.
const READS: u8 = 32;

/// What came of an offer of trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustOffer {
    /// The document has been written: the bootloader looks at it at the next boot.
    Written,
    /// It was there already and nothing was written. If the device has been reset since, the bootloader did not adopt it.
    HeldBefore,
}

impl<S: MayBegin> App<'_, S> {
    /// Puts the envelope of a trust document where the bootloader looks for the next one. It adopts it at the next boot at
    /// which this firmware is confirmed, if it proves itself. What is there already is not written again.
    ///
    /// # Errors
    /// [`OfferError`] without a write for anything but the flash itself. Whether the document is authentic is left to the
    /// bootloader.
    pub fn offer_trust<'m>(&self, envelope: &'m [u8]) -> Result<OfferTrust<'m>, OfferError> {
        self.view.offer_trust(envelope)
    }
}

impl View<'_> {
    fn offer_trust<'m>(&self, envelope: &'m [u8]) -> Result<OfferTrust<'m>, OfferError> {
        let inbox = self.layout.region(Place::Inbox(0)).ok_or(OfferError::NoPlace)?;
        let is_trust = Frame::parse(envelope).is_ok_and(|frame| frame.kind() == Kind::Trust);
        if !is_trust || envelope.len() > self.layout.trust_limit() {
            return Err(OfferError::WrongEnvelope);
        }
        let erase = ErasePages::new(self.layout, Place::Inbox(0), inbox.len);
        let write = WriteBytes::new(self.layout, Place::Inbox(0), envelope);
        Ok(OfferTrust { doing: Doing::Comparing { at: 0, read: false, reads: 0 }, envelope, erase, write })
    }
}

/// See [`App::offer_trust`].
#[derive(Debug)]
pub struct OfferTrust<'m> {
    doing: Doing,
    envelope: &'m [u8],
    erase: ErasePages,
    write: WriteBytes<'m>,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Reading what is there, from this byte on: an offer that is repeated costs no erase.
    Comparing {
        at: usize,
        read: bool,
        /// Times that all of it was right.
        reads: u8,
    },
    Erasing,
    Writing,
}

impl OfferTrust<'_> {
    /// Compares the piece that was read and reads the next one; `None` once it is known that something is to be written.
    fn compare(&mut self, buffer: &[u8], last: Outcome) -> Option<Step<Result<TrustOffer, OfferError>>> {
        let Doing::Comparing { mut at, read, mut reads } = self.doing else { return None };
        if read {
            let piece = self.piece(at);
            if last.is_err() || buffer.get(..piece.len()) != Some(piece) {
                self.doing = Doing::Erasing;
                return None;
            }
            at += piece.len();
        }
        if at == self.envelope.len() {
            (at, reads) = (0, reads + 1);
        }
        if reads == READS {
            return Some(Step::Done(Ok(TrustOffer::HeldBefore)));
        }
        let len = self.piece(at).len();
        self.doing = Doing::Comparing { at, read: true, reads };
        let at = Place::Inbox(0).plus(u32::try_from(at).unwrap_or(u32::MAX));
        Some(Step::Op(Op::Read { at, from: 0, to: len.next_multiple_of(32).min(PIECE) }))
    }

    fn piece(&self, at: usize) -> &[u8] {
        let rest = self.envelope.get(at..).unwrap_or(&[]);
        rest.get(..PIECE).unwrap_or(rest)
    }
}

impl Machine for OfferTrust<'_> {
    type Output = Result<TrustOffer, OfferError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        if matches!(self.doing, Doing::Comparing { .. }) {
            match self.compare(buffer, last) {
                Some(step) => return step,
                None => last = Ok(()),
            }
        }
        if matches!(self.doing, Doing::Erasing) {
            last = drive!(self.erase, buffer, last);
            self.doing = Doing::Writing;
        }
        if let Err(error) = last {
            return Step::Done(Err(OfferError::Flash(error)));
        }
        let written = drive!(self.write, buffer, last);
        Step::Done(written.map(|()| TrustOffer::Written).map_err(OfferError::Flash))
    }
}

//! Trust documents: where the next one waits, when it is adopted, and where the adopted one is kept.
//!
//! ```text
//!   application                        bootloader, at every boot
//!   App::offer_trust(envelope)         Guard::read -> Guard::read_trust -> AuthenticTrust::from_guard_unchained -> Trust
//!        |                             Boot with that trust -> Handover
//!        v                                  | confirmed, nothing in flight
//!     inbox  ---- read_inbox -----> Trust::successor -> Adopt: proves the running image under the new trust,
//!                                         writes the copy not in use, then the guard cell (the commit point),
//!                                         then the other copy, then a guard cell that says so
//! ```
//! Power may fail anywhere: before the cell the old document is in force and whole, after it the new one. A second copy
//! that is missing after that is written at the next boot; see [`Guard::mend_trust`].

use embedded_storage::nor_flash::NorFlashErrorKind;
use ota_manifest::{Frame, FrameError, MAX_TRUST_ENVELOPE, ManifestId, SecurityVersion, TrustDocument};
use ota_verify::{AuthenticTrust, Sha256, Trust, frame_digest};
use thiserror::Error;

use crate::guard::{Guard, Kept};
use crate::log::{Append, Kind, Log};
use crate::op::{Machine, Op, Outcome, Place, Step, drive};
use crate::parts::{PIECE, geometry, pad};
use crate::{Handover, JournalError, Layout, Policy, ProveSlot, Site, SlotError, SlotState};

/// Bytes of memory lent for a trust document with classical signatures; of any layout [`Layout::trust_limit`] says it.
pub const TRUST_MEMORY: usize = MAX_TRUST_ENVELOPE;

/// Too little memory was lent for a trust document.
///
/// Whoever gets this must not go on with the pinned keys: a document that was adopted may have withdrawn them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{lent} bytes lent for a trust document that may have {needed}")]
pub struct TrustMemoryError {
    /// Bytes needed: [`Layout::trust_limit`], or the length of the adopted document if that is more.
    pub needed: usize,
    /// Bytes lent.
    pub lent: usize,
}

impl TrustMemoryError {
    const fn check(lent: usize, needed: usize) -> Result<(), Self> {
        if lent < needed { Err(Self { needed, lent }) } else { Ok(()) }
    }
}

impl Guard {
    /// Reads the adopted trust document into `memory`; ends in its length, or `None` if there is none that is whole. The
    /// second copy is read where the first does not have the hash that the guard region says.
    ///
    /// # Errors
    /// [`TrustMemoryError`] if `memory` is shorter than [`Layout::trust_limit`], even while nothing has been adopted: it is
    /// to be found out on the bench, and not in the field, by a document that is longer than those before it.
    pub fn read_trust<'m>(
        &self,
        memory: &'m mut [u8],
        layout: &Layout,
    ) -> Result<ReadTrust<'m>, TrustMemoryError> {
        let copy = layout.kept_trust().map_or(0, |region| region.len / 2);
        let (place, after) = if self.kept.copy == 0 { (0, copy) } else { (copy, 0) };
        let is_there = self.kept.version > 0 && copy > 0;
        let len = if is_there { usize::from(self.kept.len) } else { 0 };
        // What another bootloader has adopted may be longer.
        TrustMemoryError::check(memory.len(), layout.trust_limit().max(len))?;
        let copies = if is_there { 2 } else { 0 };
        let name = self.kept.name;
        // Before the first is tried they change places.
        Ok(ReadTrust { name, len, place: after, after: place, copies, tried: 0, read: 0, memory })
    }

    /// Reads what the application has put into the inbox into `memory`; ends in its length, or `None` if it is not a
    /// document of the version after `trust`.
    ///
    /// # Errors
    /// [`TrustMemoryError`] if `memory` is shorter than [`Layout::trust_limit`].
    pub fn read_inbox<'m>(
        &self,
        memory: &'m mut [u8],
        layout: &Layout,
        trust: &Trust<'_>,
    ) -> Result<ReadInbox<'m>, TrustMemoryError> {
        let limit = layout.trust_limit();
        TrustMemoryError::check(memory.len(), limit)?;
        let next = trust.version().saturating_add(1);
        Ok(ReadInbox { next, limit, read: 0, memory, begun: false })
    }
}

/// See [`Guard::read_trust`].
#[derive(Debug)]
pub struct ReadTrust<'m> {
    name: [u8; 8],
    len: usize,
    /// Where the copy lies that is being tried, and the other one.
    place: u32,
    after: u32,
    /// Copies that there are, and that have been tried.
    copies: u8,
    tried: u8,
    /// Bytes read of this one.
    read: usize,
    memory: &'m mut [u8],
}

impl ReadTrust<'_> {
    fn next_copy(&mut self) -> Step<Option<usize>> {
        if self.tried == self.copies {
            return Step::Done(None);
        }
        (self.place, self.after) = (self.after, self.place);
        (self.tried, self.read) = (self.tried + 1, 0);
        self.read_piece()
    }

    fn read_piece(&mut self) -> Step<Option<usize>> {
        let piece = (self.len - self.read).min(PIECE);
        if piece > 0 {
            return read_at(Place::Trust(self.place), self.read, piece);
        }
        if self.memory.get(..self.len).is_some_and(|bytes| name(bytes) == self.name) {
            return Step::Done(Some(self.len));
        }
        self.next_copy()
    }
}

impl Machine for ReadTrust<'_> {
    type Output = Option<usize>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        if self.tried == 0 || last.is_err() {
            return self.next_copy();
        }
        self.read = take(self.memory, self.read, self.len, buffer);
        self.read_piece()
    }
}

/// See [`Guard::read_inbox`].
#[derive(Debug)]
pub struct ReadInbox<'m> {
    next: u32,
    /// Longest document, bytes.
    limit: usize,
    read: usize,
    memory: &'m mut [u8],
    begun: bool,
}

impl ReadInbox<'_> {
    /// Length, if what was read is what comes next; `Truncated` while there may be more of it. Whether it is authentic is
    /// not looked at.
    fn verdict(&self) -> Result<Option<usize>, FrameError> {
        let frame = Frame::parse_prefix(self.memory.get(..self.read).unwrap_or(&[]))?;
        let document = TrustDocument::decode_unauthenticated(frame.payload_unauthenticated());
        let is_next = document.is_ok_and(|document| document.version == self.next);
        Ok(is_next.then_some(frame.encoded_len()))
    }
}

impl Machine for ReadInbox<'_> {
    type Output = Option<usize>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        if last.is_err() {
            return Step::Done(None);
        }
        if core::mem::replace(&mut self.begun, true) {
            self.read = take(self.memory, self.read, self.limit, buffer);
            match self.verdict() {
                // An empty inbox costs one read, a document as many as it has pieces.
                Err(FrameError::Truncated) if self.read < self.limit => {}
                verdict => return Step::Done(verdict.unwrap_or(None)),
            }
        }
        read_at(Place::Inbox(0), self.read, (self.limit - self.read).min(PIECE))
    }
}

/// Copies a piece that was read behind the `read` bytes before it; ends in how many there are now, at most `len`.
fn take(memory: &mut [u8], read: usize, len: usize, buffer: &[u8]) -> usize {
    let piece = (len - read.min(len)).min(PIECE);
    memory.iter_mut().skip(read).zip(buffer).take(piece).for_each(|(to, from)| *to = *from);
    read + piece
}

fn read_at<T>(start: Place, offset: usize, len: usize) -> Step<T> {
    let at = start.plus(u32::try_from(offset).unwrap_or(u32::MAX));
    Step::Op(Op::Read { at, from: 0, to: to_read(len) })
}

/// Whole units of any flash; `len` is at most [`PIECE`].
const fn to_read(len: usize) -> usize {
    let whole = (len + 31) & !31;
    if whole < PIECE { whole } else { PIECE }
}

fn name(envelope: &[u8]) -> [u8; 8] {
    let digest = Sha256::of(&[envelope]);
    *digest.as_bytes().first_chunk().unwrap_or(&[0; 8])
}

/// Why a trust document is not adopted. The one in force stays in force; but where [`Adopt`] fails at the second copy, the new
/// one is in force with a single copy, and [`Guard::mend_trust`] writes the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// The running image is not confirmed: later.
    #[error("the running image is not confirmed")]
    NotNow,
    /// The layout has no place for adopted trust.
    #[error("the layout keeps no trust documents")]
    NoPlace,
    /// Not the envelope the trust was read from, or longer than [`Layout::trust_limit`].
    #[error("not the envelope of this trust document, or longer than the layout keeps")]
    WrongEnvelope,
    /// Under the new trust the running image would not boot any more.
    #[error("the running image does not prove itself under the new trust: {0}")]
    WouldNotBoot(SlotError),
    /// The flash failed.
    #[error("flash failed: {0:?}")]
    Flash(NorFlashErrorKind),
    /// What was written does not read back, or the guard region takes no cell.
    #[error("the trust document could not be kept")]
    NotKept,
}

type Done = Result<(), AdoptError>;

/// Adopts a trust document: while the running image is confirmed, and if it proves itself under the new trust. An image that is
/// staged meanwhile has to prove itself under it too, before it is booted.
///
/// The bootloader alone does this, between its decision and the lock. Until the cell in the guard region is written, the old
/// document is in force.
#[derive(Debug)]
pub struct Adopt<'a> {
    running: ManifestId,
    /// `None` once the running image has proven itself.
    prove: Option<ProveSlot<'a>>,
    keep: Keep<'a>,
}

impl<'a> Adopt<'a> {
    /// Prepares to adopt `successor`, which was read from `envelope`; `policy` is the bootloader's with the new trust.
    ///
    /// # Errors
    /// [`AdoptError`], if it is not the time or the place.
    pub fn new(
        layout: &'a Layout,
        guard: &'a mut Guard,
        handover: &Handover,
        policy: &'a Policy<'a>,
        (successor, envelope): (&AuthenticTrust<'_>, &'a [u8]),
    ) -> Result<Self, AdoptError> {
        if handover.state() != SlotState::Confirmed {
            return Err(AdoptError::NotNow);
        }
        if layout.kept_trust().is_none() {
            return Err(AdoptError::NoPlace);
        }
        let is_its = Frame::parse(envelope).is_ok_and(|frame| frame_digest(&frame) == successor.content());
        let len = u16::try_from(envelope.len()).ok().filter(|_| envelope.len() <= layout.trust_limit());
        let (true, Some(len), true) = (is_its, len, policy.trust.version() == successor.version()) else {
            return Err(AdoptError::WrongEnvelope);
        };
        let copy = if guard.kept.version > 0 { 1 - guard.kept.copy.min(1) } else { 0 };
        let kept = Kept { version: successor.version(), len, copy, copies: 1, name: name(envelope) };
        let floor = guard.floor().max(handover.floor());
        let prove = ProveSlot::new(layout, policy, Site::Slot(handover.slot()), floor);
        let keep = Keep::new(layout, guard, envelope, (kept, floor), Doing::Erasing);
        Ok(Self { running: handover.image().manifest_id(), prove: Some(prove), keep })
    }
}

impl Machine for Adopt<'_> {
    type Output = Done;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Done> {
        let mut last = last;
        if let Some(prove) = &mut self.prove {
            match drive!(prove, buffer, last) {
                Ok(image) if image.manifest_id() == self.running => self.prove = None,
                Ok(_) => return Step::Done(Err(AdoptError::NotNow)),
                Err(error) => return Step::Done(Err(AdoptError::WouldNotBoot(error))),
            }
            last = Ok(());
        }
        self.keep.resume(buffer, last)
    }
}

impl Guard {
    /// Writes the second copy of the adopted trust document, if power failed before it was there; otherwise nothing. A first
    /// copy that has rotted since is written before.
    /// `envelope` is what [`Self::read_trust`] has read.
    #[must_use]
    pub fn mend_trust<'a>(&'a mut self, layout: &'a Layout, envelope: &'a [u8]) -> MendTrust<'a> {
        let is_whole = self.kept.copies > 1 || layout.kept_trust().is_none();
        if self.kept.version == 0 || is_whole || name(envelope) != self.kept.name {
            return MendTrust(None);
        }
        let (kept, floor) = (self.kept, self.floor());
        MendTrust(Some(Keep::new(layout, self, envelope, (kept, floor), Doing::Looking)))
    }
}

/// See [`Guard::mend_trust`].
#[derive(Debug)]
pub struct MendTrust<'a>(Option<Keep<'a>>);

impl Machine for MendTrust<'_> {
    type Output = Done;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Done> {
        match &mut self.0 {
            Some(keep) => keep.resume(buffer, last),
            None => Step::Done(Ok(())),
        }
    }
}

/// Writes both copies of a document, each followed by a guard cell that says so.
#[derive(Debug)]
struct Keep<'a> {
    layout: &'a Layout,
    guard: &'a mut Guard,
    envelope: &'a [u8],
    kept: Kept,
    floor: SecurityVersion,
    copy: Copy,
    /// Where this copy lies, and the other one.
    start: u32,
    other: u32,
    /// Bytes of each.
    half: u32,
    doing: Doing,
    /// Bytes of the copy that this has been done to.
    done: usize,
    /// Bytes that the operation under way does it to; 0 before there is one.
    piece: usize,
    append: Option<Append>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// Whether the first copy, by the guard's count the only one, still holds the document. If it has rotted, the envelope
    /// came from the second, which must not be erased before the first is whole again.
    Looking,
    Erasing,
    Writing,
    ReadingBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copy {
    /// The one not in use, before the commit point.
    First,
    /// The one that held the document before.
    Second,
}

impl<'a> Keep<'a> {
    fn new(
        layout: &'a Layout,
        guard: &'a mut Guard,
        envelope: &'a [u8],
        (kept, floor): (Kept, SecurityVersion),
        doing: Doing,
    ) -> Self {
        let half = layout.kept_trust().map_or(0, |region| region.len / 2);
        let (start, other) = if kept.copy == 1 { (half, 0) } else { (0, half) };
        Self {
            layout,
            guard,
            envelope,
            kept,
            floor,
            copy: Copy::First,
            start,
            other,
            half,
            doing,
            done: 0,
            piece: 0,
            append: None,
        }
    }

    fn begin(&mut self, doing: Doing) {
        (self.doing, self.done, self.piece) = (doing, 0, 0);
    }

    fn begin_second(&mut self) {
        self.copy = Copy::Second;
        (self.start, self.other) = (self.other, self.start);
        self.begin(Doing::Erasing);
    }

    /// Takes in how the last operation went.
    fn take(&mut self, buffer: &[u8], last: Outcome) -> Result<(), AdoptError> {
        let piece = core::mem::replace(&mut self.piece, 0);
        let rest = self.envelope.get(self.done..).unwrap_or(&[]);
        let is_right = last.is_ok() && buffer.get(..piece) == rest.get(..piece);
        self.done += piece;
        match self.doing {
            Doing::Looking if !is_right => {
                self.begin(Doing::Erasing);
                Ok(())
            }
            Doing::ReadingBack if !is_right => {
                Err(last.map_or_else(AdoptError::Flash, |()| AdoptError::NotKept))
            }
            _ => last.map_err(AdoptError::Flash),
        }
    }

    /// What is next for this copy; `None` once its cell is to be written.
    fn go_on(&mut self, buffer: &mut [u8]) -> Option<Op> {
        loop {
            let done = u32::try_from(self.done).unwrap_or(u32::MAX);
            let at = Place::Trust(self.start.saturating_add(done));
            let geometry = geometry(self.layout, at);
            let rest = self.envelope.get(self.done..).unwrap_or(&[]);
            let piece = rest.get(..PIECE).unwrap_or(rest);
            self.piece = piece.len();
            match self.doing {
                Doing::Erasing if done < self.half => {
                    self.piece = geometry.erase_page as usize;
                    return Some(Op::Erase { at });
                }
                Doing::Erasing => self.begin(Doing::Writing),
                Doing::Writing if !piece.is_empty() => {
                    let to = pad(piece, geometry.write_size as usize, geometry.erased, buffer);
                    return Some(Op::Write { at, from: 0, to });
                }
                Doing::Writing => self.begin(Doing::ReadingBack),
                Doing::Looking | Doing::ReadingBack if !piece.is_empty() => {
                    return Some(Op::Read { at, from: 0, to: to_read(piece.len()) });
                }
                Doing::Looking => self.begin_second(),
                Doing::ReadingBack => return None,
            }
        }
    }

    fn commit(&mut self) -> Result<(), AdoptError> {
        self.kept.copies = if self.copy == Copy::First { 1 } else { 2 };
        let log = Log::of(self.layout, Kind::Guard).ok_or(AdoptError::NoPlace)?;
        self.append = Some(self.guard.append(log, self.floor, self.kept));
        Ok(())
    }

    /// Takes in how a cell was written; `None` if that was all.
    fn take_cell(&mut self, written: Result<(), JournalError>) -> Result<Option<()>, AdoptError> {
        if let Some(append) = self.append.take() {
            self.guard.take(&append, self.floor, self.kept, written.is_ok());
        }
        written.map_err(|_| AdoptError::NotKept)?;
        if self.copy == Copy::Second {
            return Ok(None);
        }
        self.begin_second();
        Ok(Some(()))
    }
}

impl Machine for Keep<'_> {
    type Output = Done;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Done> {
        let mut last = last;
        loop {
            let taken = match &mut self.append {
                Some(append) => {
                    let written = drive!(append, buffer, last);
                    self.take_cell(written)
                }
                None => self.take(buffer, last).map(Some),
            };
            match taken {
                Ok(Some(())) => {}
                Ok(None) => return Step::Done(Ok(())),
                Err(error) => return Step::Done(Err(error)),
            }
            if let Some(op) = self.go_on(buffer) {
                return Step::Op(op);
            }
            if let Err(error) = self.commit() {
                return Step::Done(Err(error));
            }
            last = Ok(());
        }
    }
}

//! Proof of a slot from the slot alone: envelope, image, and nothing behind the image.

use ota_manifest::{Frame, FrameError, Role, SecurityVersion};
use ota_verify::{
    AdmitError, Applicable, AuthError, DeviceState, Identity, ImageStream, ProofError, Trust, VerifiedImage,
};
use thiserror::Error;

use crate::op::{Machine, Op, Outcome, Place, Step};
use crate::{BootDescriptor, Layout, Site, round_up};

/// Times a proof is begun anew before the slot counts as bad: one misread must not cost an image.
const PROOF_TRIES: u8 = 3;
/// Bytes read at a time; a multiple of every read size, and pages are multiples of 256.
const PIECE: u32 = 1024;

/// What bootloader and application hold every image against; the same value in both.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'t> {
    /// Keys in ROM.
    pub trust: Trust<'t>,
    /// What the device is.
    pub identity: Identity,
    /// What its bootloader says about itself.
    pub descriptor: &'t BootDescriptor,
}

/// Why a slot does not hold a bootable image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The flash does not read.
    #[error("flash cannot be read")]
    Flash,
    /// No envelope.
    #[error("no envelope in the slot: {0}")]
    Frame(FrameError),
    /// An envelope that is not authentic.
    #[error("envelope not authentic: {0}")]
    Auth(AuthError),
    /// An authentic manifest that does not apply here.
    #[error("manifest does not apply: {0}")]
    Admit(AdmitError),
    /// The bytes are not the manifest's image.
    #[error("image not proven: {0}")]
    Proof(ProofError),
    /// Bytes follow the image on its last page.
    #[error("the rest of the image's last page is not erased")]
    Tail,
    /// The work buffer is shorter than [`Layout::work_buffer`]. The caller's fault; the slot was not looked at.
    #[error("the work buffer is shorter than the layout's envelopes")]
    ShortBuffer,
    /// An image that proves itself and is not the one that was to be staged. Nothing was recorded.
    #[error("another image than the one that was to be staged")]
    AnotherImage,
}

impl SlotError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Flash => 0x0101,
            Self::Frame(_) => 0x0102,
            Self::Tail => 0x0103,
            Self::ShortBuffer => 0x0104,
            Self::AnotherImage => 0x0105,
            Self::Auth(error) => error.code(),
            Self::Admit(error) => error.code(),
            Self::Proof(error) => error.code(),
        }
    }

    /// Whether reading again could change the verdict.
    const fn may_be_a_misread(&self) -> bool {
        !matches!(self, Self::Admit(_) | Self::ShortBuffer | Self::AnotherImage)
    }
}

/// Reads an image from its slot and proves it: what the bootloader does before every hand-over, and what its recovery may do
/// to say what is wrong. Writes nothing.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use ota_slots::sim::Lab;
/// # let lab = Lab::new();
/// # let (mut flash, layout, policy) = (lab.provisioned(&lab.release(1, 5000)), lab.layout(), lab.policy());
/// use ota_manifest::SecurityVersion;
/// use ota_slots::{ProveSlot, Site, SlotError, SlotId, WORK_BUFFER, run_blocking};
///
/// let prove = |slot| ProveSlot::new(&layout, &policy, Site::Slot(slot), SecurityVersion(0));
/// let mut buffer = [0; WORK_BUFFER];
/// let a = run_blocking(prove(SlotId::A), &mut flash, &layout, &mut buffer, || ());
/// assert_eq!(a.unwrap().size(), 5000);
/// let b = run_blocking(prove(SlotId::B), &mut flash, &layout, &mut buffer, || ());
/// assert!(matches!(b, Err(SlotError::Frame(_))), "slot B is empty");
/// # }
/// ```
#[derive(Debug)]
pub struct ProveSlot<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    site: Site,
    floor: SecurityVersion,
    tries: u8,
    /// What has been fed so far; `None` while the envelope is read.
    stream: Option<ImageStream>,
    /// First byte of the piece that is read, its length, and the end of the image's last page.
    at: u32,
    piece: u32,
    end: u32,
}

type Verdict = Result<VerifiedImage, SlotError>;

impl<'a> ProveSlot<'a> {
    /// Prepares to prove what is at `site`; `floor` is the anti-rollback floor.
    ///
    /// Whether it is newer than what runs is no part of the proof: that is decided before the download, of the manifest that
    /// [`App::begin`](crate::App::begin) names and [`App::finish`](crate::App::finish) insists on; and where what ran is gone
    /// nobody could tell.
    #[must_use]
    pub const fn new(layout: &'a Layout, policy: &'a Policy<'a>, site: Site, floor: SecurityVersion) -> Self {
        Self { layout, policy, site, floor, tries: 0, stream: None, at: 0, piece: 0, end: 0 }
    }

    fn begin(&mut self) -> Step<Verdict> {
        self.tries += 1;
        self.stream = None;
        let at = Place::Slot(self.site.slot(), self.layout.envelope_offset(self.site));
        Step::Op(Op::Read { at, from: 0, to: self.layout.envelope_limit() })
    }

    fn fail(&mut self, error: SlotError) -> Step<Verdict> {
        if error.may_be_a_misread() && self.tries < PROOF_TRIES {
            return self.begin();
        }
        Step::Done(Err(error))
    }

    fn admit<'e>(&self, envelope: &'e [u8]) -> Result<Applicable<'e>, SlotError> {
        let frame = Frame::parse_prefix(envelope).map_err(SlotError::Frame)?;
        let authentic = self.policy.trust.authenticate(frame, Role::Release).map_err(SlotError::Auth)?;
        let state = DeviceState {
            identity: self.policy.identity,
            running: None,
            // Time is never looked at when a slot is proven: a bootloader has no clock it may believe.
            now: None,
            floor: self.floor,
            // Looked at before a slot is filled; what is there now is proven, not chosen.
            rejected: &[],
            target: self.layout.target_at(self.site),
            bootloader: self.policy.descriptor.bootloader(),
        };
        authentic.admit(&state).map_err(SlotError::Admit)
    }

    /// Reads on to the end of the image's last page: what follows the image there must be erased.
    fn read_piece(&mut self) -> Step<Verdict> {
        self.piece = self.end.saturating_sub(self.at).min(PIECE);
        if self.piece == 0 {
            return match self.stream.take().map(ImageStream::finish) {
                Some(Ok(image)) => Step::Done(Ok(image)),
                Some(Err(error)) => self.fail(SlotError::Proof(error)),
                None => self.fail(SlotError::Flash),
            };
        }
        let start = self.layout.image_offset(self.site).saturating_add(self.at);
        Step::Op(Op::Read { at: Place::Slot(self.site.slot(), start), from: 0, to: self.piece as usize })
    }

    fn take_piece(&mut self, buffer: &[u8]) -> Result<(), SlotError> {
        let geometry = self.layout.geometry(self.site.slot());
        if let Some(stream) = &mut self.stream {
            let bytes = buffer.get(..self.piece as usize).unwrap_or(buffer);
            let left = stream.size().saturating_sub(self.at) as usize;
            let (image, tail) = bytes.split_at(left.min(bytes.len()));
            stream.update(image);
            if tail.iter().any(|byte| *byte != geometry.erased) {
                return Err(SlotError::Tail);
            }
        } else {
            let envelope = buffer.get(..self.layout.envelope_limit()).unwrap_or(buffer);
            let stream = self.admit(envelope)?.into_stream();
            (self.at, self.piece, self.end) = (0, 0, round_up(stream.size(), geometry.erase_page));
            self.stream = Some(stream);
        }
        self.at = self.at.saturating_add(self.piece);
        Ok(())
    }
}

impl Machine for ProveSlot<'_> {
    type Output = Verdict;

    #[inline(never)]
    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Verdict> {
        if self.tries == 0 {
            if buffer.len() < self.layout.work_buffer() {
                return Step::Done(Err(SlotError::ShortBuffer));
            }
            return self.begin();
        }
        match last.map_err(|_| SlotError::Flash).and_then(|()| self.take_piece(buffer)) {
            Ok(()) => self.read_piece(),
            Err(error) => self.fail(error),
        }
    }
}

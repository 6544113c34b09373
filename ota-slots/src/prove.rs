//! Proof of a slot from the slot alone: envelope, image, and nothing behind the image.

use ota_manifest::{Frame, FrameError, MAX_ENVELOPE, Order, Role, SecurityVersion};
use ota_verify::{
    AdmitError, Applicable, AuthError, DeviceState, Identity, ImageStream, ProofError, Trust, VerifiedImage,
};
use thiserror::Error;

use crate::op::{Machine, Op, Outcome, Place, Step, WORK_BUFFER};
use crate::{BootDescriptor, Layout, SlotId};

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
    pub descriptor: BootDescriptor,
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
}

impl SlotError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Flash => 0x0101,
            Self::Frame(_) => 0x0102,
            Self::Tail => 0x0103,
            Self::Auth(error) => error.code(),
            Self::Admit(error) => error.code(),
            Self::Proof(error) => error.code(),
        }
    }

    /// Whether reading again could change the verdict.
    const fn may_be_a_misread(&self) -> bool {
        !matches!(self, Self::Admit(_))
    }
}

/// Reads a slot and proves it.
#[derive(Debug)]
pub(crate) struct Prove<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    slot: SlotId,
    running: Option<Order>,
    floor: SecurityVersion,
    tries: u8,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    Nothing,
    ReadingEnvelope,
    /// Waiting for `piece` bytes from `at`.
    ReadingImage {
        stream: ImageStream,
        at: u32,
        piece: u32,
    },
    Finished,
}

impl<'a> Prove<'a> {
    pub(crate) const fn new(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        running: Option<Order>,
        floor: SecurityVersion,
    ) -> Self {
        Self { layout, policy, slot, running, floor, tries: 0, doing: Doing::Nothing }
    }

    fn begin(&mut self) -> Step<Result<VerifiedImage, SlotError>> {
        self.tries += 1;
        self.doing = Doing::ReadingEnvelope;
        let at = Place::Slot(self.slot, self.layout.envelope_offset(self.slot));
        Step::Op(Op::Read { at, from: 0, to: MAX_ENVELOPE })
    }

    fn fail(&mut self, error: SlotError) -> Step<Result<VerifiedImage, SlotError>> {
        if error.may_be_a_misread() && self.tries < PROOF_TRIES {
            return self.begin();
        }
        Step::Done(Err(error))
    }

    fn check_envelope(&mut self, buffer: &[u8; WORK_BUFFER]) -> Step<Result<VerifiedImage, SlotError>> {
        let envelope = buffer.get(..MAX_ENVELOPE).unwrap_or(buffer);
        match self.admit(envelope) {
            Ok(applicable) => self.read_piece(applicable.into_stream(), 0),
            Err(error) => self.fail(error),
        }
    }

    fn admit<'e>(&self, envelope: &'e [u8]) -> Result<Applicable<'e>, SlotError> {
        let frame = Frame::parse_prefix(envelope).map_err(SlotError::Frame)?;
        let authentic = self.policy.trust.authenticate(frame, Role::Release).map_err(SlotError::Auth)?;
        let state = DeviceState {
            identity: self.policy.identity,
            running: self.running,
            floor: self.floor,
            // Looked at before a slot is filled; what is there now is proven, not chosen.
            rejected: &[],
            target: self.layout.target(self.slot),
            bootloader: self.policy.descriptor.bootloader(),
        };
        authentic.admit(&state).map_err(SlotError::Admit)
    }

    /// Reads on to the end of the image's last page: what follows the image there must be erased.
    fn read_piece(&mut self, stream: ImageStream, at: u32) -> Step<Result<VerifiedImage, SlotError>> {
        let end = stream.size().next_multiple_of(self.layout.geometry().erase_page);
        let piece = end.saturating_sub(at).min(PIECE);
        if piece == 0 {
            return match stream.finish() {
                Ok(image) => Step::Done(Ok(image)),
                Err(error) => self.fail(SlotError::Proof(error)),
            };
        }
        self.doing = Doing::ReadingImage { stream, at, piece };
        Step::Op(Op::Read { at: Place::Slot(self.slot, at), from: 0, to: piece as usize })
    }

    fn take_piece(
        &mut self,
        mut stream: ImageStream,
        at: u32,
        bytes: &[u8],
    ) -> Step<Result<VerifiedImage, SlotError>> {
        let image_bytes = stream.size().saturating_sub(at) as usize;
        let (image, tail) = bytes.split_at(image_bytes.min(bytes.len()));
        stream.update(image);
        let erased = self.layout.geometry().erased;
        if tail.iter().any(|byte| *byte != erased) {
            return self.fail(SlotError::Tail);
        }
        self.read_piece(stream, at.saturating_add(PIECE))
    }
}

impl Machine for Prove<'_> {
    type Output = Result<VerifiedImage, SlotError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        match (core::mem::replace(&mut self.doing, Doing::Finished), last) {
            (Doing::Nothing, _) => self.begin(),
            (_, Err(_)) | (Doing::Finished, _) => self.fail(SlotError::Flash),
            (Doing::ReadingEnvelope, Ok(())) => self.check_envelope(buffer),
            (Doing::ReadingImage { stream, at, piece }, Ok(())) => {
                let bytes = buffer.get(..piece as usize).unwrap_or(buffer);
                self.take_piece(stream, at, bytes)
            }
        }
    }
}

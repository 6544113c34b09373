//! How much of the bootloader is about moving images: a type, so that firmware that runs in place links none of it.

use crate::op::{Machine, Outcome, Step};
use crate::{Layout, motion};

/// Whether a bootloader moves images. Implemented by [`InPlace`] and [`Moving`] alone.
pub trait Activation: sealed::Sealed + core::fmt::Debug {
    /// Whether images are moved to slot A before they run.
    const MOVES: bool;
    /// Moves an image, or goes on moving it.
    #[doc(hidden)]
    type Mover<'a>: Machine<Output = Moved> + core::fmt::Debug;

    #[doc(hidden)]
    fn mover(layout: &Layout, motion: Motion) -> Option<Self::Mover<'_>>;
}

/// Images run where they were staged: [`Strategy::DirectXip`](crate::Strategy::DirectXip).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InPlace;

/// Images are moved to slot A: [`Strategy::SwapOffset`](crate::Strategy::SwapOffset) and
/// [`Strategy::Overwrite`](crate::Strategy::Overwrite).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moving;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::InPlace {}
    impl Sealed for super::Moving {}
}

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Motion {
    /// From where to where.
    pub kind: MotionKind,
    /// Number of the move, counted modulo 32: tells it from the one before, whose progress may still be there.
    pub id: u8,
    /// Length, in units of [`Layout::unit`].
    pub units: u16,
}

impl Motion {
    pub(crate) const fn next_id(id: u8) -> u8 {
        id.wrapping_add(1) & 0x1F
    }
}

/// How a move ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Moved {
    /// All is where it should be, as far as flash took it.
    Done,
    /// Nothing has been touched: its progress could not be kept.
    NotBegun,
    /// A chip does not answer. To be gone on with at another boot.
    Stopped,
}

/// From where to where an image is moved. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MotionKind {
    /// The staged image to slot A, and the one that ran to where it was staged.
    Swap = 0,
    /// The displaced image back to slot A; it stays where it was, too.
    Restore = 1,
    /// The staged image to slot A; it stays where it was, too.
    Install = 2,
}

impl Activation for InPlace {
    const MOVES: bool = false;
    type Mover<'a> = Never;

    fn mover(_: &Layout, _: Motion) -> Option<Never> {
        None
    }
}

impl Activation for Moving {
    const MOVES: bool = true;
    type Mover<'a> = motion::Mover<'a>;

    fn mover(layout: &Layout, motion: Motion) -> Option<motion::Mover<'_>> {
        motion::Mover::new(layout, motion)
    }
}

/// A machine that does not exist.
#[derive(Debug)]
#[doc(hidden)]
pub enum Never {}

impl Machine for Never {
    type Output = Moved;

    fn resume(&mut self, _: &mut [u8], _: Outcome) -> Step<Moved> {
        match *self {}
    }
}

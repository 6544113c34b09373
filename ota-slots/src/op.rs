//! Flash work as data: machines say what they want done, one of two loops does it.
//!
//! The same machine runs under [`run_blocking`], under `run_async` and, driven by hand, in tests. Rejected: polling one
//! `async` body from a bootloader. Measured, that costs flash and links a panic for "resumed after completion".

use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};

use crate::{Layout, SlotId};

/// Bytes of work buffer the caller lends to a machine, at least; a layout with longer envelopes than the usual needs
/// [`Layout::work_buffer`].
pub const WORK_BUFFER: usize = 2048;

/// Times a failed read is tried again: a transient read error is no reason to give up an image.
const READ_RETRIES: usize = 3;

/// A byte of flash, by the name of its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// So many bytes into the journal.
    Journal(u32),
    /// So many bytes into the progress region.
    Progress(u32),
    /// So many bytes into the guard region.
    Guard(u32),
    /// So many bytes into the region where adopted trust documents are kept.
    Trust(u32),
    /// So many bytes into the region where a trust document waits to be adopted.
    Inbox(u32),
    /// So many bytes into a slot.
    Slot(SlotId, u32),
}

impl Place {
    /// Bytes into the region.
    pub(crate) const fn offset(self) -> u32 {
        match self {
            Self::Journal(at) | Self::Progress(at) | Self::Guard(at) => at,
            Self::Trust(at) | Self::Inbox(at) | Self::Slot(_, at) => at,
        }
    }

    /// So many bytes further into the same region.
    pub(crate) const fn plus(self, bytes: u32) -> Self {
        match self {
            Self::Journal(at) => Self::Journal(at.saturating_add(bytes)),
            Self::Progress(at) => Self::Progress(at.saturating_add(bytes)),
            Self::Guard(at) => Self::Guard(at.saturating_add(bytes)),
            Self::Trust(at) => Self::Trust(at.saturating_add(bytes)),
            Self::Inbox(at) => Self::Inbox(at.saturating_add(bytes)),
            Self::Slot(slot, at) => Self::Slot(slot, at.saturating_add(bytes)),
        }
    }
}

/// One flash operation. `from..to` is the part of the work buffer that it fills or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Read flash into the buffer.
    Read {
        /// First byte of flash.
        at: Place,
        /// First byte of the buffer.
        from: usize,
        /// Byte after the last of the buffer.
        to: usize,
    },
    /// Program flash from the buffer.
    Write {
        /// First byte of flash; a multiple of the write size, as is the length.
        at: Place,
        /// First byte of the buffer.
        from: usize,
        /// Byte after the last of the buffer.
        to: usize,
    },
    /// Erase one page.
    Erase {
        /// First byte of the page.
        at: Place,
    },
}

/// What a machine answers: more work, or its result.
#[derive(Debug)]
pub enum Step<T> {
    /// Do this and call again with how it went.
    Op(Op),
    /// Finished.
    Done(T),
}

impl<T> Step<T> {
    /// The same step of a machine that ends in something else: for machines made of others.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Op(op) => Step::Op(op),
            Self::Done(output) => Step::Done(f(output)),
        }
    }
}

/// How the last operation went; `Ok` on the first call.
pub type Outcome = Result<(), NorFlashErrorKind>;

/// A sequence of flash operations that ends in a result.
///
/// Dropping a machine between two operations equals a power cut at that point, and is as safe.
pub trait Machine {
    /// What it ends in.
    type Output;

    /// Takes the outcome of the last operation and says what is next. Not to be called again after [`Step::Done`].
    ///
    /// `buffer` is the same memory every time, [`Layout::work_buffer`] bytes or more.
    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output>;
}

/// Runs a sub-machine from inside `resume`: returns its operations, evaluates to its result.
macro_rules! drive {
    ($machine:expr, $buffer:expr, $last:expr) => {
        match $machine.resume($buffer, $last) {
            $crate::op::Step::Op(op) => return $crate::op::Step::Op(op),
            $crate::op::Step::Done(output) => output,
        }
    };
}
pub(crate) use drive;

/// Runs `machine` on `flash`. `feed` is called before every operation, none of which is longer than one page erase.
///
/// `buffer` has [`Layout::work_buffer`] bytes or more. A shorter one than the layout needs is refused by the machines that
/// read envelopes, before they read; a shorter one than any layout needs does not compile:
///
/// ```compile_fail
/// # use ota_slots::sim::Lab;
/// # let lab = Lab::new();
/// # let (mut flash, layout) = (lab.provisioned(&lab.release(1, 5000)), lab.layout());
/// use ota_slots::{Guard, run_blocking};
/// let _ = run_blocking(Guard::read(&layout), &mut flash, &layout, &mut [0; 2047], || ());
/// ```
pub fn run_blocking<M: Machine, F: NorFlash, const BUFFER: usize>(
    mut machine: M,
    flash: &mut F,
    layout: &Layout,
    buffer: &mut [u8; BUFFER],
    mut feed: impl FnMut(),
) -> M::Output {
    const { assert_long_enough(BUFFER) };
    let mut last = Ok(());
    loop {
        feed();
        match machine.resume(buffer, last) {
            Step::Op(op) => last = perform(op, flash, layout, buffer),
            Step::Done(output) => return output,
        }
    }
}

/// Stops the build and not the device: a copy whose pieces do not fit would be found out when their page is erased.
const fn assert_long_enough(buffer: usize) {
    assert!(buffer >= WORK_BUFFER, "a work buffer has at least WORK_BUFFER bytes");
}

/// An operation with its place in flash and in the buffer.
enum Located<'b> {
    Read(u32, &'b mut [u8]),
    Write(u32, &'b [u8]),
    Erase(u32, u32),
}

/// Finds flash and buffer of an operation; refuses one that leaves its region.
fn locate<'b>(op: Op, layout: &Layout, buffer: &'b mut [u8]) -> Result<Located<'b>, NorFlashErrorKind> {
    let located = match op {
        Op::Read { at, from, to } => buffer
            .get_mut(from..to)
            .and_then(|bytes| Some(Located::Read(layout.address(at, bytes.len())?, bytes))),
        Op::Write { at, from, to } => buffer
            .get(from..to)
            .and_then(|bytes| Some(Located::Write(layout.address(at, bytes.len())?, bytes))),
        Op::Erase { at } => {
            let page = layout.region(at).map_or(0, |region| region.geometry.erase_page);
            layout.address(at, page as usize).map(|start| Located::Erase(start, start.saturating_add(page)))
        }
    };
    located.ok_or(NorFlashErrorKind::OutOfBounds)
}

fn perform<F: NorFlash>(op: Op, flash: &mut F, layout: &Layout, buffer: &mut [u8]) -> Outcome {
    match locate(op, layout, buffer)? {
        Located::Write(start, bytes) => flash.write(start, bytes).map_err(|e| e.kind()),
        Located::Erase(start, end) => flash.erase(start, end).map_err(|e| e.kind()),
        Located::Read(start, bytes) => {
            let mut outcome = flash.read(start, bytes);
            for _ in 0..READ_RETRIES {
                if outcome.is_ok() {
                    break;
                }
                outcome = flash.read(start, bytes);
            }
            outcome.map_err(|e| e.kind())
        }
    }
}

/// [`run_blocking`] for asynchronous flash.
#[cfg(feature = "async")]
pub async fn run_async<M: Machine, F: embedded_storage_async::nor_flash::NorFlash, const BUFFER: usize>(
    mut machine: M,
    flash: &mut F,
    layout: &Layout,
    buffer: &mut [u8; BUFFER],
    mut feed: impl FnMut(),
) -> M::Output {
    const { assert_long_enough(BUFFER) };
    let mut last = Ok(());
    loop {
        feed();
        match machine.resume(buffer, last) {
            Step::Op(op) => last = perform_async(op, flash, layout, buffer).await,
            Step::Done(output) => return output,
        }
    }
}

#[cfg(feature = "async")]
async fn perform_async<F: embedded_storage_async::nor_flash::NorFlash>(
    op: Op,
    flash: &mut F,
    layout: &Layout,
    buffer: &mut [u8],
) -> Outcome {
    match locate(op, layout, buffer)? {
        Located::Write(start, bytes) => flash.write(start, bytes).await.map_err(|e| e.kind()),
        Located::Erase(start, end) => flash.erase(start, end).await.map_err(|e| e.kind()),
        Located::Read(start, bytes) => {
            let mut outcome = flash.read(start, bytes).await;
            for _ in 0..READ_RETRIES {
                if outcome.is_ok() {
                    break;
                }
                outcome = flash.read(start, bytes).await;
            }
            outcome.map_err(|e| e.kind())
        }
    }
}

//! Filling the other slot, resumably. The flash is the record of what has arrived: nothing else is kept.
//!
//! A *block* is a chunk or an erase page, whichever is larger. Blocks are filled in order, each erased right before, even
//! if it reads blank (after an interrupted erase it does). To resume, blocks are read from the front: those whose chunks
//! match their leaves are held. The last of them is to be written again all the same (read it with `load_chunk` first):
//! power may have failed during its last program operation, and bits that were almost programmed read right today and
//! wrong tomorrow. The leaf list is, too, unless two blocks are held. A block is filled only while the one behind it is blank:
//! of several blocks that look good only the last may be marginal.

use embedded_storage::nor_flash::NorFlashErrorKind;
use ota_manifest::{Digest, Image, ManifestId};
use ota_verify::{ChunkTree, LEAF_LEN, Sha256, digests_equal, leaf_hash};
use thiserror::Error;

use crate::op::{Machine, Op, Outcome, Place, Step, drive};
use crate::parts::{ErasePages, PIECE, WriteBytes};
use crate::{Layout, Site, SlotId, round_up};

/// An update on its way into the other slot. Made by `App::begin`, ended by `App::finish`.
#[derive(Debug)]
pub struct Staging<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) slot: SlotId,
    pub(crate) id: ManifestId,
    pub(crate) image: Image,
    /// Nothing in the slot can be of use: blocks are erased without being looked at.
    pub(crate) fresh: bool,
    /// Blocks that have been erased in this power session and not been filled: the first, and the one behind the last.
    pub(crate) blank: (u32, u32),
}

/// Erases pages here, then there. See [`Staging::erase_leaves`] and [`Staging::erase_block`].
#[derive(Debug)]
pub struct EraseInTurn {
    parts: [ErasePages; 3],
    /// Parts that are done.
    done: usize,
}

impl EraseInTurn {
    const fn new(parts: [ErasePages; 3]) -> Self {
        Self { parts, done: 0 }
    }
}

impl Machine for EraseInTurn {
    type Output = Result<(), NorFlashErrorKind>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        while let (Ok(()), Some(part)) = (last, self.parts.get_mut(self.done)) {
            last = drive!(part, buffer, last);
            self.done += 1;
        }
        Step::Done(last)
    }
}

/// Where filling goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// The leaf list is there and is the manifest's. If not: erase, store and check it first.
    pub leaves_held: bool,
    /// First block to erase and fill.
    pub block: u32,
}

/// Why a chunk or a piece of the leaf list was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not what the manifest's chunk tree says: damaged or forged. The sender's fault.
    #[error("chunk does not match its leaf")]
    WrongDigest,
    /// No such chunk or leaf, or not of its length. The sender's fault.
    #[error("no chunk of that number and length")]
    OutOfRange,
    /// The flash failed.
    #[error("flash failed: {0:?}")]
    Flash(NorFlashErrorKind),
}

impl<'a> Staging<'a> {
    /// Name of the manifest being staged.
    #[must_use]
    pub const fn manifest_id(&self) -> ManifestId {
        self.id
    }

    /// The image being staged.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// Bytes of a block: a chunk or an erase page, whichever is larger.
    #[must_use]
    pub fn block_bytes(&self) -> u32 {
        self.image.chunk_size.bytes().max(self.page())
    }

    /// Blocks of the image.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.image.size.div_ceil(self.block_bytes())
    }

    /// Chunks of one block: the first and the one after the last.
    #[must_use]
    pub fn chunks_of(&self, block: u32) -> (u32, u32) {
        let per_block = self.block_bytes() / self.image.chunk_size.bytes();
        let first = block.saturating_mul(per_block).min(self.image.chunks());
        (first, first.saturating_add(per_block).min(self.image.chunks()))
    }

    /// Length of a chunk, bytes; the last one is shorter. 0 if there is no such chunk.
    #[must_use]
    pub fn chunk_len(&self, chunk: u32) -> u32 {
        let size = self.image.chunk_size.bytes();
        let start = u64::from(chunk) * u64::from(size);
        let left = u64::from(self.image.size).saturating_sub(start);
        u32::try_from(left).unwrap_or(u32::MAX).min(size)
    }

    fn leaves_offset(&self) -> u32 {
        self.layout.leaves_offset(self.slot, self.image.chunks())
    }

    /// Finds out what is already there.
    #[must_use]
    pub fn find_resume_point(&self) -> FindResumePoint<'_> {
        FindResumePoint { staging: self, doing: Finding::Leaves(self.check_leaves()) }
    }

    /// Erases the pages of the leaf list, and then the first two blocks: with the list gone nothing in the slot looks good, so
    /// whatever stood there cannot hide a block whose erase was cut short.
    #[must_use]
    pub fn erase_leaves(&mut self) -> EraseInTurn {
        let (from, end) = (self.leaves_offset(), self.layout.leaves_end(self.slot));
        let leaves = ErasePages::new(self.layout, Place::Slot(self.slot, from), end - from);
        self.blank = (0, 2);
        EraseInTurn::new([leaves, self.erase(1, 1), self.erase(0, 1)])
    }

    /// Looks whether the leaf list in flash has the manifest's root.
    #[must_use]
    pub fn check_leaves(&self) -> CheckLeaves<'_> {
        CheckLeaves { staging: self, tree: ChunkTree::new(), asked: 0 }
    }

    /// Writes leaves, from leaf number `first`. The pages must have been erased by [`Self::erase_leaves`]; whether the
    /// leaves are the manifest's shows [`Self::check_leaves`].
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] for leaves the image does not have, or a part of one.
    pub fn store_leaves<'d>(&self, first: u32, leaves: &'d [u8]) -> Result<StoreLeaves<'d>, StoreError> {
        let count = u32::try_from(leaves.len() / LEAF_LEN).unwrap_or(u32::MAX);
        let fits = first.checked_add(count).is_some_and(|end| end <= self.image.chunks());
        if count == 0 || !fits || !leaves.len().is_multiple_of(LEAF_LEN) {
            return Err(StoreError::OutOfRange);
        }
        let at = self.leaves_offset() + first * 32;
        Ok(StoreLeaves(WriteBytes::new(self.layout, Place::Slot(self.slot, at), leaves)))
    }

    /// Erases a block, so that its chunks can be stored; and first the one behind it.
    ///
    /// Blocks are erased and filled in order, from the resume point on. The block behind one that is being filled never holds
    /// anything: of several blocks that look good only the last may be marginal, whatever stood in the slot before. Each
    /// block is erased once for all that.
    #[must_use]
    pub fn erase_block(&mut self, block: u32) -> EraseInTurn {
        let behind = block.saturating_add(1);
        let is_blank = |block| (self.blank.0..self.blank.1).contains(&block);
        // What has been erased in this power session is not erased again, unless the block is begun anew.
        let this = !is_blank(block);
        let next = this || !is_blank(behind);
        self.blank = (behind, behind.saturating_add(1));
        EraseInTurn::new([self.erase(behind, next.into()), self.erase(block, this.into()), self.erase(0, 0)])
    }

    /// Erases so many blocks, as far as the image reaches.
    fn erase(&self, block: u32, count: u32) -> ErasePages {
        let start = block.saturating_mul(self.block_bytes());
        let bytes = self.block_bytes().saturating_mul(count);
        let end = start.saturating_add(bytes).min(round_up(self.image.size, self.page()));
        let at = Place::Slot(self.slot, self.place(start));
        ErasePages::new(self.layout, at, end.saturating_sub(start))
    }

    fn page(&self) -> u32 {
        self.layout.geometry(self.slot).erase_page
    }

    /// Offset within the slot of a byte of the image.
    const fn place(&self, byte: u32) -> u32 {
        self.layout.image_offset(Site::Slot(self.slot)).saturating_add(byte)
    }

    /// Reads a chunk that the slot holds into `into`, which has its length, and checks it against its leaf.
    #[must_use]
    pub fn load_chunk<'d>(&'d self, chunk: u32, into: &'d mut [u8]) -> LoadChunk<'d> {
        LoadChunk { staging: self, chunk, into, leaf: None, read: 0, asked: 0, begun: false }
    }

    /// Checks a chunk against its leaf and writes it. Its block must have been erased by [`Self::erase_block`], and the
    /// chunk not written since.
    #[must_use]
    pub fn store_chunk<'d>(&'d self, chunk: u32, bytes: &'d [u8]) -> StoreChunk<'d> {
        StoreChunk { staging: self, chunk, bytes, doing: Storing::Nothing }
    }

    fn read_leaf(&self, chunk: u32) -> Op {
        let at = Place::Slot(self.slot, self.leaves_offset() + chunk * 32);
        Op::Read { at, from: 0, to: LEAF_LEN }
    }
}

fn leaf_in(buffer: &[u8]) -> Digest {
    Digest::new(*buffer.first_chunk::<LEAF_LEN>().unwrap_or(&[0; LEAF_LEN]))
}

/// See [`Staging::check_leaves`]. A list that cannot be read is not held.
#[derive(Debug)]
pub struct CheckLeaves<'s> {
    staging: &'s Staging<'s>,
    tree: ChunkTree,
    /// Leaves asked for in the read under way.
    asked: u32,
}

impl Machine for CheckLeaves<'_> {
    type Output = bool;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<bool> {
        if last.is_err() {
            return Step::Done(false);
        }
        for leaf in buffer.as_chunks::<LEAF_LEN>().0.iter().take(self.asked as usize) {
            self.tree.push(Digest::new(*leaf));
        }
        let image = &self.staging.image;
        let left = image.chunks() - self.tree.len();
        if left == 0 {
            return Step::Done(digests_equal(&self.tree.root(image.size), &image.chunk_root));
        }
        self.asked = left.min(32);
        let at = Place::Slot(self.staging.slot, self.staging.leaves_offset() + self.tree.len() * 32);
        Step::Op(Op::Read { at, from: 0, to: self.asked as usize * LEAF_LEN })
    }
}

/// See [`Staging::store_leaves`].
#[derive(Debug)]
pub struct StoreLeaves<'d>(WriteBytes<'d>);

impl Machine for StoreLeaves<'_> {
    type Output = Result<(), NorFlashErrorKind>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        self.0.resume(buffer, last)
    }
}

/// Reads one chunk and its leaf and compares.
#[derive(Debug)]
struct CheckChunk {
    chunk: u32,
    leaf: Option<Digest>,
    hash: Option<Sha256>,
    done: u32,
    asked: u32,
}

impl CheckChunk {
    const fn new(chunk: u32) -> Self {
        Self { chunk, leaf: None, hash: None, done: 0, asked: 0 }
    }

    fn resume(&mut self, staging: &Staging<'_>, buffer: &[u8], last: Outcome) -> Step<bool> {
        let len = staging.chunk_len(self.chunk);
        if last.is_err() {
            return Step::Done(false);
        }
        let Some(hash) = &mut self.hash else {
            let mut hash = Sha256::new();
            // The prefix of `leaf_hash`, here over bytes that come in pieces.
            hash.update(&[0]);
            hash.update(&self.chunk.to_le_bytes());
            hash.update(&len.to_le_bytes());
            self.hash = Some(hash);
            return Step::Op(staging.read_leaf(self.chunk));
        };
        match self.leaf {
            None => self.leaf = Some(leaf_in(buffer)),
            Some(_) => hash.update(buffer.get(..self.asked as usize).unwrap_or(&[])),
        }
        self.done += self.asked;
        if self.done == len {
            let found = self.hash.take().unwrap_or_default().finish();
            return Step::Done(self.leaf.is_some_and(|leaf| digests_equal(&leaf, &found)));
        }
        self.asked = (len - self.done).min(u32::try_from(PIECE).unwrap_or(u32::MAX));
        let start = self.chunk * staging.image.chunk_size.bytes() + self.done;
        let to = (self.asked as usize).next_multiple_of(LEAF_LEN);
        Step::Op(Op::Read { at: Place::Slot(staging.slot, staging.place(start)), from: 0, to })
    }
}

/// See [`Staging::find_resume_point`].
#[derive(Debug)]
pub struct FindResumePoint<'s> {
    staging: &'s Staging<'s>,
    doing: Finding<'s>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "short-lived, on the stack; boxes need an allocator")]
enum Finding<'s> {
    Leaves(CheckLeaves<'s>),
    Chunk(CheckChunk),
}

impl FindResumePoint<'_> {
    /// Where to go on when this many chunks from the front are good.
    fn after(&self, chunks: u32) -> ResumePoint {
        let staging = self.staging;
        let per_block = staging.block_bytes() / staging.image.chunk_size.bytes();
        let complete = if chunks == staging.image.chunks() { staging.blocks() } else { chunks / per_block };
        // Whatever was written last may be marginal: the last good block, or the leaf list if there is none but one.
        let block = complete.saturating_sub(1);
        ResumePoint { leaves_held: block > 0, block }
    }
}

impl Machine for FindResumePoint<'_> {
    type Output = ResumePoint;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<ResumePoint> {
        let mut last = last;
        loop {
            let good = match &mut self.doing {
                Finding::Leaves(_) if self.staging.fresh => return Step::Done(self.after(0)),
                Finding::Leaves(leaves) => {
                    if !drive!(leaves, buffer, last) {
                        return Step::Done(self.after(0));
                    }
                    self.doing = Finding::Chunk(CheckChunk::new(0));
                    last = Ok(());
                    continue;
                }
                Finding::Chunk(check) => match check.resume(self.staging, buffer, last) {
                    Step::Op(op) => return Step::Op(op),
                    Step::Done(good) => u32::from(good) + check.chunk,
                },
            };
            let Finding::Chunk(check) = &mut self.doing else { return Step::Done(self.after(0)) };
            if good == check.chunk || good == self.staging.image.chunks() {
                return Step::Done(self.after(good));
            }
            *check = CheckChunk::new(good);
            last = Ok(());
        }
    }
}

/// See [`Staging::load_chunk`].
#[derive(Debug)]
pub struct LoadChunk<'d> {
    staging: &'d Staging<'d>,
    chunk: u32,
    into: &'d mut [u8],
    leaf: Option<Digest>,
    read: usize,
    asked: usize,
    begun: bool,
}

impl LoadChunk<'_> {
    fn take(&mut self, buffer: &[u8]) {
        if self.leaf.is_none() {
            self.leaf = Some(leaf_in(buffer));
        }
        let place = self.into.iter_mut().skip(self.read).take(self.asked);
        place.zip(buffer).for_each(|(to, from)| *to = *from);
        self.read += self.asked;
    }

    fn verdict(&self) -> Result<(), StoreError> {
        let found = leaf_hash(self.chunk, self.into);
        let good = self.leaf.is_some_and(|leaf| digests_equal(&leaf, &found));
        if good { Ok(()) } else { Err(StoreError::WrongDigest) }
    }
}

impl Machine for LoadChunk<'_> {
    type Output = Result<(), StoreError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        if let Err(error) = last {
            return Step::Done(Err(StoreError::Flash(error)));
        }
        let len = self.staging.chunk_len(self.chunk) as usize;
        if !core::mem::replace(&mut self.begun, true) {
            return if len == 0 || self.into.len() != len {
                Step::Done(Err(StoreError::OutOfRange))
            } else {
                Step::Op(self.staging.read_leaf(self.chunk))
            };
        }
        self.take(buffer);
        if self.read == len {
            return Step::Done(self.verdict());
        }
        self.asked = (len - self.read).min(PIECE);
        let start =
            u64::from(self.chunk) * u64::from(self.staging.image.chunk_size.bytes()) + self.read as u64;
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let at = Place::Slot(self.staging.slot, self.staging.place(start));
        Step::Op(Op::Read { at, from: 0, to: self.asked.next_multiple_of(LEAF_LEN) })
    }
}

/// See [`Staging::store_chunk`].
#[derive(Debug)]
pub struct StoreChunk<'d> {
    staging: &'d Staging<'d>,
    chunk: u32,
    bytes: &'d [u8],
    doing: Storing<'d>,
}

#[derive(Debug)]
enum Storing<'d> {
    Nothing,
    ReadingLeaf,
    Writing(WriteBytes<'d>),
}

impl<'d> StoreChunk<'d> {
    fn begin(&mut self) -> Step<Result<(), StoreError>> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        if self.bytes.is_empty() || len != self.staging.chunk_len(self.chunk) {
            return Step::Done(Err(StoreError::OutOfRange));
        }
        self.doing = Storing::ReadingLeaf;
        Step::Op(self.staging.read_leaf(self.chunk))
    }

    fn check(&self, buffer: &[u8]) -> Result<WriteBytes<'d>, StoreError> {
        if !digests_equal(&leaf_in(buffer), &leaf_hash(self.chunk, self.bytes)) {
            return Err(StoreError::WrongDigest);
        }
        let at =
            self.chunk.checked_mul(self.staging.image.chunk_size.bytes()).ok_or(StoreError::OutOfRange)?;
        let at = Place::Slot(self.staging.slot, self.staging.place(at));
        Ok(WriteBytes::new(self.staging.layout, at, self.bytes))
    }
}

impl Machine for StoreChunk<'_> {
    type Output = Result<(), StoreError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        match &mut self.doing {
            Storing::Nothing => return self.begin(),
            Storing::ReadingLeaf => match last.map_err(StoreError::Flash).and_then(|()| self.check(buffer)) {
                Ok(write) => self.doing = Storing::Writing(write),
                Err(error) => return Step::Done(Err(error)),
            },
            Storing::Writing(_) => {}
        }
        let Storing::Writing(write) = &mut self.doing else { return Step::Done(Err(StoreError::OutOfRange)) };
        Step::Done(drive!(write, buffer, last).map_err(StoreError::Flash))
    }
}

//! Chunks arrive in windows of whole blocks, in any order, and are written in order, each checked first.
//!
//! In order, because resuming reads the slot from the front: a hole behind written blocks would be fetched anew anyway.

use ota_manifest::wire::{Down, FailedStage, Fetch, Object, Stage, Up};

use crate::agent::Core;
use crate::state::{Job, Load, Output, RETRIES, State, Verifying, code, fail};
use crate::{Event, SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Downloading {
    job: Job,
    /// First chunk of the window, the first of a block.
    first: u32,
    /// Chunks in the window, at most 64.
    count: u32,
    /// Bit n: chunk `first + n` is in the window buffer, or written already.
    received: u64,
    doing: Doing,
    refused: u8,
    /// Tenths of the image that were reported.
    reported: u32,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Reading the block at which a download resumes, up to chunk `end`.
    ///
    /// It is good, but it may be the one that was being written when power failed, with bits that will not last. Read,
    /// erased and written again it costs no radio.
    Loading {
        next: u32,
        end: u32,
    },
    /// Waiting for what is missing in the window; storing then goes on with `next`.
    Fetching {
        next: u32,
        erased: bool,
    },
    /// Making room for the block that chunk `next` begins.
    Erasing {
        next: u32,
    },
    Storing {
        next: u32,
    },
}

impl Downloading {
    pub(crate) fn new(job: Job, block: u32, core: &Core<'_>) -> Self {
        let mut state = Self {
            job,
            first: 0,
            count: 0,
            received: 0,
            doing: Doing::Fetching { next: 0, erased: false },
            refused: 0,
            reported: 0,
        };
        let first = block.saturating_mul(state.job.plan.chunks_per_block());
        state.reported = state.tenths(first);
        state.open_window(first, core);
        state
    }

    /// Goes on with a slot that holds everything before `block`, and `block` itself.
    pub(crate) fn resumed(job: Job, block: u32, core: &Core<'_>) -> Self {
        let mut state = Self::new(job, block, core);
        let end = state.first + state.job.plan.chunks_per_block().min(state.count);
        state.doing = Doing::Loading { next: state.first, end };
        state
    }

    pub(crate) const fn is_fetching(&self) -> bool {
        matches!(self.doing, Doing::Fetching { .. })
    }

    /// What is in flash for certain: all before the window.
    pub(crate) fn stage(&self) -> Stage {
        Stage::Downloading { done: self.bytes(self.first), total: self.job.plan.size }
    }

    fn bytes(&self, chunks: u32) -> u32 {
        chunks.saturating_mul(self.job.plan.chunk_bytes).min(self.job.plan.size)
    }

    fn tenths(&self, chunks: u32) -> u32 {
        // At most 2^24 chunks: of 256 bytes in 4 GiB.
        chunks.saturating_mul(10) / self.job.plan.chunks().max(1)
    }

    /// As many whole blocks as the lent window holds, and as the mask has bits.
    fn open_window(&mut self, first: u32, core: &Core<'_>) {
        let room = u32::try_from(core.window_len()).unwrap_or(u32::MAX) / self.job.plan.chunk_bytes.max(1);
        let per_block = self.job.plan.chunks_per_block();
        let whole_blocks = room.min(64) / per_block * per_block;
        self.first = first;
        self.count = whole_blocks.max(1).min(self.job.plan.chunks() - first);
        self.received = 0;
        self.doing = Doing::Fetching { next: first, erased: false };
    }

    const fn mask(&self) -> u64 {
        if self.count >= 64 { u64::MAX } else { (1 << self.count) - 1 }
    }

    fn chunk_len(&self, chunk: u32) -> usize {
        let start = chunk.saturating_mul(self.job.plan.chunk_bytes);
        self.job.plan.size.saturating_sub(start).min(self.job.plan.chunk_bytes) as usize
    }

    fn window_at(&self, chunk: u32) -> usize {
        (chunk - self.first) as usize * self.job.plan.chunk_bytes as usize
    }

    /// The first run of chunks that are missing: number of the first, and how many.
    fn missing(&self) -> (u32, u32) {
        let missing = !self.received & self.mask();
        let skip = missing.trailing_zeros();
        let run = (missing >> skip).trailing_ones();
        (self.first + skip, run)
    }

    pub(crate) fn load(&self) -> Option<Load> {
        match self.doing {
            Doing::Loading { next, .. } => {
                Some(Load { chunk: next, at: self.window_at(next), len: self.chunk_len(next) })
            }
            _ => None,
        }
    }

    pub(crate) fn want<'w>(&self, core: &'w Core<'_>) -> Output<'w> {
        match self.doing {
            Doing::Loading { .. } => Output::Wait,
            Doing::Fetching { .. } => {
                let (first, count) = self.missing();
                Output::Send(Up::Fetch(Fetch {
                    job: core.context.job,
                    image: self.job.plan.image,
                    object: Object::Payload,
                    first,
                    count: u16::try_from(count).unwrap_or(u16::MAX),
                }))
            }
            Doing::Erasing { next } => {
                Output::Slots(SlotWork::EraseBlock { block: next / self.job.plan.chunks_per_block() })
            }
            Doing::Storing { next } => {
                let bytes = core.window(self.window_at(next), self.chunk_len(next));
                Output::Slots(SlotWork::StoreChunk { chunk: next, bytes })
            }
        }
    }

    pub(crate) fn message(&mut self, core: &mut Core<'_>, message: Down<'_>) -> Option<State> {
        match message {
            Down::Chunk { job, object: Object::Payload, first, bytes }
                if job == core.context.job && self.take(core, first, bytes) =>
            {
                self.complete_window();
                None
            }
            Down::Refused { refusal, retry_after_ms } => core.fetch_refused(refusal, retry_after_ms),
            // Asking again at once would be a busy loop.
            _ => core.fruitless(),
        }
    }

    /// Puts whole chunks into the window; duplicates and strangers are passed over. Whether anything was new.
    fn take(&mut self, core: &mut Core<'_>, first: u32, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let mut chunk = first;
        let mut news = false;
        while !rest.is_empty() && chunk < self.first.saturating_add(self.count) {
            let (data, after) = rest.split_at(self.chunk_len(chunk).clamp(1, rest.len()));
            let whole = data.len() == self.chunk_len(chunk);
            if let Some(bit) = chunk.checked_sub(self.first)
                && whole
                && self.received >> bit & 1 == 0
                && core.fill_window(self.window_at(chunk), data)
            {
                self.received |= 1 << bit;
                news = true;
            }
            rest = after;
            chunk += 1;
        }
        news
    }

    fn complete_window(&mut self) {
        if let Doing::Fetching { next, erased } = self.doing
            && self.received == self.mask()
        {
            self.doing = if erased { Doing::Storing { next } } else { Doing::Erasing { next } };
        }
    }

    pub(crate) fn slots(&mut self, core: &mut Core<'_>, answer: SlotsAnswer) -> Option<State> {
        match (self.doing, answer) {
            (_, SlotsAnswer::Failed { code }) => return Some(fail(core, FailedStage::Downloading, code)),
            (Doing::Loading { next, end }, SlotsAnswer::Done) => {
                self.received |= 1 << (next - self.first);
                self.load_next(next + 1, end);
            }
            (Doing::Loading { next, end }, SlotsAnswer::ChunkRefused) => self.load_next(next + 1, end),
            (Doing::Erasing { next }, SlotsAnswer::Done) => self.doing = Doing::Storing { next },
            (Doing::Storing { next }, SlotsAnswer::Done) => return self.stored(core, next),
            (Doing::Storing { next }, SlotsAnswer::ChunkRefused) => return self.refuse(core, next),
            _ => return Some(fail(core, FailedStage::Downloading, code::UNEXPECTED)),
        }
        None
    }

    fn load_next(&mut self, next: u32, end: u32) {
        if next < end {
            self.doing = Doing::Loading { next, end };
            return;
        }
        self.doing = Doing::Fetching { next: self.first, erased: false };
        self.complete_window();
    }

    fn stored(&mut self, core: &mut Core<'_>, chunk: u32) -> Option<State> {
        self.refused = 0;
        core.progressed();
        let next = chunk + 1;
        self.report(core, next);
        if next == self.job.plan.chunks() {
            core.report(Stage::Downloaded);
            return Some(State::Verifying(Verifying { job: self.job }));
        }
        if next == self.first + self.count {
            self.open_window(next, core);
        } else if next.is_multiple_of(self.job.plan.chunks_per_block()) {
            self.doing = Doing::Erasing { next };
        } else {
            self.doing = Doing::Storing { next };
        }
        None
    }

    /// The chunk was checked before it was written, so its place is still erased: only it is fetched again.
    fn refuse(&mut self, core: &mut Core<'_>, chunk: u32) -> Option<State> {
        core.log(Event::ChunkRefused { chunk });
        self.refused += 1;
        if self.refused > RETRIES {
            return Some(fail(core, FailedStage::Downloading, code::CHUNK));
        }
        self.received &= !(1 << (chunk - self.first));
        self.doing = Doing::Fetching { next: chunk, erased: true };
        core.stall();
        None
    }

    fn report(&mut self, core: &mut Core<'_>, chunks: u32) {
        let tenths = self.tenths(chunks);
        if tenths > self.reported {
            self.reported = tenths;
            core.report(Stage::Downloading { done: self.bytes(chunks), total: self.job.plan.size });
        }
    }
}

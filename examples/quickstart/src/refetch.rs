//! What was fetched twice because power failed in between, by a device's log.
//!
//! A device holds what it has stored, from the front; a window of chunks that has arrived and is not stored yet is lost with
//! the power. So a resumption may fetch one window again and no more, however often and whenever power fails:
//!
//! Call *debt* what was fetched and is not held. In a session that is cut off, the chunks fetched again and the growth of the
//! debt make one window at most: either the last window was fetched in vain, or it was the first one, without the chunk that
//! was read back from flash, and that one was erased to be written anew. The session that ends the download has no debt left:
//! what it fetches again, the debt falls by. So there is a window for each session but the last, and a resumption for each
//! but the first.

use std::collections::BTreeSet;

use device_sim::{Happening, Line};

/// Bytes of one chunk of the simulated devices' images.
const CHUNK: u64 = 4096;

/// A chunk of the image of a job.
type Chunk<'l> = (&'l str, u64);

/// Bytes of an object that arrived with this line.
pub(crate) fn fetched_bytes(line: &Line) -> u64 {
    match &line.what {
        Happening::Fetched { bytes, .. } => *bytes as u64,
        _ => 0,
    }
}

/// Payload bytes that a device fetched before it was cut off, by a planned cut or with the whole play, and again after.
///
/// What it fetches twice between one boot and the next was damaged on its way: not the resumption's doing.
pub(crate) fn refetched(log: &[Line]) -> u64 {
    let (mut before, mut now, mut counted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut job, mut again) = ("", 0);
    for line in log {
        match &line.what {
            Happening::Boot { .. } => {
                before.append(&mut now);
                counted.clear();
            }
            // It never arrived.
            Happening::ChunkRefused { chunk } => {
                now.remove(&(job, u64::from(*chunk)));
            }
            _ => {}
        }
        for (chunk, len) in chunks(line) {
            job = chunk.0;
            now.insert(chunk);
            if before.contains(&chunk) && counted.insert(chunk) {
                again += len;
            }
        }
    }
    again
}

/// The chunks of payload that arrived with this line, each with its length.
fn chunks(line: &Line) -> impl Iterator<Item = (Chunk<'_>, u64)> {
    let (job, first, bytes) = match &line.what {
        Happening::Fetched { job, object, first, bytes } if object == "payload" => {
            (job.as_str(), u64::from(*first), *bytes as u64)
        }
        _ => ("", 0, 0),
    };
    let len = move |chunk| CHUNK.min(bytes - chunk * CHUNK);
    (0..bytes.div_ceil(CHUNK)).map(move |chunk| ((job, first + chunk), len(chunk)))
}

#[cfg(test)]
mod tests {
    use device_sim::WINDOW_BYTES;

    use super::*;

    fn log(happenings: impl IntoIterator<Item = Happening>) -> Vec<Line> {
        happenings.into_iter().map(|what| Line { at_ms: 1, what }).collect()
    }

    fn boot() -> Happening {
        let word = String::new;
        Happening::Boot { cause: word(), slot: word(), version: word(), state: word(), trust: 1 }
    }

    fn payload(job: &str, first: u32, bytes: usize) -> Happening {
        Happening::Fetched { job: job.to_owned(), object: "payload".to_owned(), first, bytes }
    }

    #[test]
    fn download_interrupted_twice_counts_each_chunk_once_for_each_time() {
        let log = log([
            boot(),
            payload("a", 0, 16384),
            payload("a", 4, 16384),
            boot(),
            payload("a", 5, 12288),
            payload("a", 8, 16384),
            boot(),
            payload("a", 8, 16384),
            payload("a", 12, 1000),
        ]);
        assert_eq!(refetched(&log), 12288 + 16384);
    }

    #[test]
    fn damaged_chunk_fetched_again_before_the_next_boot_is_no_resumption() {
        let damaged = || Happening::ChunkRefused { chunk: 1 };
        let same = [boot(), payload("a", 0, 16384), damaged(), payload("a", 1, 4096)];
        assert_eq!(refetched(&log(same)), 0);
        let cut_off = [boot(), payload("a", 0, 16384), damaged(), boot(), payload("a", 1, 12288)];
        assert_eq!(refetched(&log(cut_off)), 8192, "chunks 2 and 3; chunk 1 had never arrived");
        let damaged_again =
            [boot(), payload("a", 0, 8192), boot(), payload("a", 0, 8192), damaged(), payload("a", 1, 4096)];
        assert_eq!(refetched(&log(damaged_again)), 8192, "chunk 1 once");
    }

    #[test]
    fn update_cut_off_before_anything_was_held_fetches_its_first_window_again() {
        let log = log([boot(), payload("a", 0, 16384), boot(), payload("a", 0, 16384)]);
        assert_eq!(refetched(&log), WINDOW_BYTES as u64);
    }

    #[test]
    fn leaf_lists_and_other_jobs_are_not_mixed_up_with_it() {
        let leaves =
            || Happening::Fetched { job: "a".into(), object: "leaves".into(), first: 0, bytes: 2048 };
        let log = log([boot(), leaves(), payload("a", 0, 4096), boot(), leaves(), payload("b", 0, 4096)]);
        assert_eq!(refetched(&log), 0);
    }

    /// A device's download as the agent does it, cut off in each session after so many steps.
    struct Model {
        /// Chunks held from the front.
        held: u32,
        log: Vec<Line>,
        resumed: u64,
    }

    impl Model {
        const CHUNKS: u32 = 20;
        const WINDOW: u32 = 4;

        /// `true` when the image is complete.
        fn session(&mut self, steps: &mut impl FnMut() -> bool) -> bool {
            self.log.extend(log([boot()]));
            // The last block that is held is read back and written again.
            let mut first = self.held.saturating_sub(1);
            let mut loaded = self.held.min(1);
            while first < Self::CHUNKS {
                let end = (first + Self::WINDOW).min(Self::CHUNKS);
                let missing = first + loaded..end;
                if !missing.is_empty() {
                    let bytes = missing.len() * 4096;
                    self.log.extend(log([payload("a", missing.start, bytes)]));
                }
                for chunk in first..end {
                    if !steps() {
                        return false;
                    }
                    self.held = self.held.min(chunk); // erased
                    if !steps() {
                        return false;
                    }
                    self.held = chunk + 1;
                }
                (first, loaded) = (end, 0);
            }
            true
        }
    }

    #[test]
    fn one_window_for_each_resumption_is_enough_however_often_power_fails() {
        let mut worst = 0;
        for seed in 1..3000_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // Some lives consist of short sessions only.
            let odds = 2 + seed % 13;
            let mut steps = || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (random >> 32) % odds != 0
            };
            let mut model = Model { held: 0, log: Vec::new(), resumed: 0 };
            for _ in 0..200 {
                if model.session(&mut steps) {
                    break;
                }
                model.resumed += 1;
            }
            let again = refetched(&model.log);
            assert!(again <= model.resumed * WINDOW_BYTES as u64, "seed {seed}: {again}, {}", model.resumed);
            worst = worst.max(again * 100 / (model.resumed * WINDOW_BYTES as u64).max(1));
        }
        assert_eq!(worst, 100, "the bound is reached, so it is not too wide");
    }
}

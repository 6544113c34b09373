//! What the agent must know after a reset: 32 bytes that travel in every journal record.
//!
//! ```text
//! offset size field
//!      0   16 job
//!     16    1 attempt at the job
//!     17    1 progress: 0 none, 1 under way, 2 confirmed, 3 failed, 4 cancelled, 5 rolled back; +0x80 once acknowledged
//!     18    1 stage of a failure
//!     19    1 zero
//!     20    2 code of a failure, or of the probe that failed a trial
//!     22    2 confirm window, s; 0 for 900
//!     24    4 sequence of the report that ended the job, or of the next report when this was written
//!     28    4 probes that failed a trial
//! ```

use ota_manifest::JobId;
use ota_manifest::wire::{FailedProbes, FailedStage, Stage};
use ota_slots::OPAQUE;

/// Reports are numbered in bands of so many; each boot begins another one, and so does what follows the end of a job. The
/// first of a boot is above all of the boots before it.
const SEQ_BAND: u32 = 1024;
/// The report that ends a job is numbered this far behind the beginning of its band: above anything that an earlier boot,
/// started from the same record, may have sent and forgotten. And no other report is ever in the second half of a band:
/// a device that has lost its journal counts from the beginning, and its last word must not pass for one of the old ones.
pub(crate) const SEQ_TERMINAL: u32 = 512;
/// The rejection of an offer; no other report has a number below [`SEQ_BAND`].
pub(crate) const SEQ_REJECTION: u32 = 1;

/// The beginning of the band behind the one of this number.
pub(crate) const fn next_band(seq: u32) -> u32 {
    (seq | (SEQ_BAND - 1)).saturating_add(1)
}

/// The beginning of a boot's first band, `seq` being the number in the journal. Where that ended a job, the boot that wrote
/// it may have gone on in the band behind, for a job of which no record tells yet.
pub(crate) const fn first_band(seq: u32) -> u32 {
    next_band(seq.saturating_add(SEQ_TERMINAL))
}

const ACKNOWLEDGED: u8 = 0x80;

/// How the job ended, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No job.
    None,
    /// Begun and not ended.
    UnderWay,
    /// Ended well.
    Confirmed,
    /// Ended badly, here, with this code.
    Failed(FailedStage, u16),
    /// Ended because the server said so.
    Cancelled,
    /// Ended by a rollback; the details are in the journal's event.
    RolledBack,
}

/// The agent's memory across resets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The last job.
    pub job: JobId,
    /// Which attempt at it.
    pub attempt: u8,
    /// How far it came.
    pub progress: Progress,
    /// Whether the server knows how it ended.
    pub acknowledged: bool,
    /// Seconds the new firmware has from boot to confirm.
    pub confirm_window_s: u16,
    /// Sequence of the last report that must not be repeated for another one.
    pub seq: u32,
    /// What the self-test found, if it failed the trial.
    pub failed: FailedProbes,
}

impl Context {
    /// Nothing has happened yet.
    pub const EMPTY: Self = Self {
        job: JobId::new([0; 16]),
        attempt: 0,
        progress: Progress::None,
        acknowledged: true,
        confirm_window_s: 900,
        seq: 0,
        failed: FailedProbes::NONE,
    };

    /// The bytes for the journal.
    #[must_use]
    pub fn encode(&self) -> [u8; OPAQUE] {
        let (progress, stage, code) = match self.progress {
            Progress::None => (0, 0, self.failed.code),
            Progress::UnderWay => (1, 0, self.failed.code),
            Progress::Confirmed => (2, 0, self.failed.code),
            Progress::Failed(stage, code) => (3, stage as u8, code),
            Progress::Cancelled => (4, 0, self.failed.code),
            Progress::RolledBack => (5, 0, self.failed.code),
        };
        let flag = if self.acknowledged { ACKNOWLEDGED } else { 0 };
        let [c0, c1] = code.to_le_bytes();
        let [w0, w1] = self.confirm_window_s.to_le_bytes();
        let [s0, s1, s2, s3] = self.seq.to_le_bytes();
        let [p0, p1, p2, p3] = self.failed.probes.to_le_bytes();
        let fields =
            [self.attempt, progress | flag, stage, 0, c0, c1, w0, w1, s0, s1, s2, s3, p0, p1, p2, p3];
        let mut bytes = [0; OPAQUE];
        if let Some((job, rest)) = bytes.split_first_chunk_mut::<16>() {
            *job = *self.job.as_bytes();
            rest.copy_from_slice(&fields);
        }
        bytes
    }

    /// Reads the bytes back. Anything not understood is an empty context: the server will offer the job again.
    #[must_use]
    pub fn decode(bytes: &[u8; OPAQUE]) -> Self {
        Self::read(bytes).unwrap_or(Self::EMPTY)
    }

    fn read(bytes: &[u8; OPAQUE]) -> Option<Self> {
        let (job, rest) = bytes.split_first_chunk::<16>()?;
        let [attempt, progress, stage, _, c0, c1, w0, w1, s0, s1, s2, s3, p0, p1, p2, p3] = rest else {
            return None;
        };
        let code = u16::from_le_bytes([*c0, *c1]);
        let stage = match stage {
            0 => FailedStage::Preparing,
            1 => FailedStage::Downloading,
            2 => FailedStage::Verifying,
            3 => FailedStage::Pending,
            _ => return None,
        };
        let ended = match progress & !ACKNOWLEDGED {
            0 => Progress::None,
            1 => Progress::UnderWay,
            2 => Progress::Confirmed,
            3 => Progress::Failed(stage, code),
            4 => Progress::Cancelled,
            5 => Progress::RolledBack,
            _ => return None,
        };
        let code = if matches!(ended, Progress::Failed(..)) { 0 } else { code };
        let failed = FailedProbes { probes: u32::from_le_bytes([*p0, *p1, *p2, *p3]), code };
        let confirm_window_s = match u16::from_le_bytes([*w0, *w1]) {
            // No manifest has such a window. A journal that was lost starts a trial all the same, and it needs time.
            0 => Self::EMPTY.confirm_window_s,
            seconds => seconds,
        };
        Some(Self {
            job: JobId::new(*job),
            attempt: *attempt,
            progress: ended,
            acknowledged: progress & ACKNOWLEDGED != 0,
            confirm_window_s,
            seq: u32::from_le_bytes([*s0, *s1, *s2, *s3]),
            failed,
        })
    }

    /// The terminal report of the last job, if it ended and the report can be told from here.
    pub(crate) const fn terminal(&self) -> Option<Stage> {
        match self.progress {
            Progress::Confirmed => Some(Stage::Confirmed),
            Progress::Failed(at, code) => Some(Stage::Failed { at, code }),
            Progress::Cancelled => Some(Stage::Cancelled),
            Progress::None | Progress::UnderWay | Progress::RolledBack => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_survives_the_journal() {
        for progress in [
            Progress::None,
            Progress::UnderWay,
            Progress::Confirmed,
            Progress::Failed(FailedStage::Verifying, 0x0402),
            Progress::Cancelled,
            Progress::RolledBack,
        ] {
            for acknowledged in [false, true] {
                let job = JobId::new([7; 16]);
                let context = Context {
                    job,
                    attempt: 2,
                    progress,
                    acknowledged,
                    confirm_window_s: 900,
                    seq: 0x0102_0304,
                    failed: FailedProbes {
                        probes: 0x8000_0001,
                        code: if matches!(progress, Progress::Failed(..)) { 0 } else { 0x0B04 },
                    },
                };
                assert_eq!(Context::decode(&context.encode()), context);
            }
        }
    }

    #[test]
    fn context_bytes_are_frozen() {
        let context = Context {
            job: JobId::new([0xAB; 16]),
            attempt: 2,
            progress: Progress::Failed(FailedStage::Verifying, 0x0402),
            acknowledged: true,
            confirm_window_s: 900,
            seq: 0x0102_0304,
            failed: FailedProbes { probes: 0x0708_0906, code: 0 },
        };
        let bytes = context.encode();
        assert_eq!(bytes[..16], [0xAB; 16]);
        assert_eq!(bytes[16..], [2, 0x83, 2, 0, 0x02, 0x04, 0x84, 0x03, 4, 3, 2, 1, 6, 9, 8, 7]);
        let failed = FailedProbes { probes: 1, code: 0x0B04 };
        let on_trial = Context { progress: Progress::UnderWay, failed, ..context }.encode();
        assert_eq!(on_trial[16..], [2, 0x81, 0, 0, 0x04, 0x0B, 0x84, 0x03, 4, 3, 2, 1, 1, 0, 0, 0]);
    }

    #[test]
    fn boot_counts_from_above_whatever_the_one_before_may_have_said() {
        for (seq, first) in
            [(0, 1024), (1024, 2048), (1535, 2048), (1536, 3072), (2048, 3072), (u32::MAX, u32::MAX)]
        {
            assert_eq!(first_band(seq), first, "{seq}");
        }
    }

    #[test]
    fn a_journal_that_never_held_a_context_holds_no_job() {
        assert_eq!(Context::decode(&[0; OPAQUE]).progress, Progress::None);
        assert_eq!(Context::decode(&[0xFF; OPAQUE]), Context::EMPTY);
    }
}

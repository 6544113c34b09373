//! The server of one board: a release at a time, trust documents, and the time.

use std::sync::Arc;

use ota_manifest::wire::stream::{Decoder, MAX_REPORT_FRAME, frame};
use ota_manifest::wire::{Down, Fetch, MAX_REPORT, Object, Poll, Refusal, Report, Stage, Up, decode, encode};
use ota_manifest::{FreshnessDraft, JobId, Order};
use ota_verify::sign::seal_freshness;
use provision::{Release, SecretKey};

/// The server's clock, seconds since 1970.
const NOON: u64 = 1_790_000_000;
/// Longest answer: a window of chunks.
const LONGEST: usize = 32 * 1024;
/// Bytes of a chunk.
const CHUNK: usize = 4096;
/// Bytes of a leaf.
const LEAF: usize = 32;

/// A release that is offered.
#[derive(Clone)]
struct Job {
    release: Arc<Release>,
    id: JobId,
    /// How it ended.
    end: Option<Stage>,
}

/// What answers a board.
#[derive(Clone)]
pub struct Desk {
    jobs: Vec<Job>,
    documents: Vec<Arc<Vec<u8>>>,
    freshness: Arc<SecretKey>,
    /// Every report, in order of arrival.
    pub reports: Vec<Report>,
    /// The last poll, and how many there were.
    pub poll: Option<Poll>,
    /// How many polls there were.
    pub polls: u32,
    /// Bytes of a message that is not whole yet.
    line: Vec<u8>,
    /// Messages that were damaged on the line, or are no messages.
    pub unreadable: u32,
}

impl Desk {
    /// A server that knows the time.
    #[must_use]
    pub fn new(freshness: Arc<SecretKey>) -> Self {
        Self {
            jobs: Vec::new(),
            documents: Vec::new(),
            freshness,
            reports: Vec::new(),
            poll: None,
            polls: 0,
            line: Vec::new(),
            unreadable: 0,
        }
    }

    /// Offers a release from now on.
    pub fn offer(&mut self, release: &Arc<Release>) {
        let number = u8::try_from(self.jobs.len() + 1).unwrap_or(u8::MAX);
        self.jobs.push(Job { release: Arc::clone(release), id: JobId::new([number; 16]), end: None });
    }

    /// Has one more trust document, the one after those that it had.
    pub fn publish(&mut self, document: Vec<u8>) {
        self.documents.push(Arc::new(document));
    }

    /// How the release that was offered last ended.
    #[must_use]
    pub fn end(&self) -> Option<Stage> {
        self.jobs.last().and_then(|job| job.end)
    }

    /// Takes bytes from the board, and returns those for it.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut answers = Vec::new();
        for byte in bytes {
            self.line.push(*byte);
            if *byte == 0 {
                let line = std::mem::take(&mut self.line);
                self.hear_frame(&line, &mut answers);
            }
        }
        answers
    }

    fn hear_frame(&mut self, line: &[u8], answers: &mut Vec<u8>) {
        let mut memory = [0; MAX_REPORT_FRAME];
        let up = Decoder::new(&mut memory).feed(&mut &*line).map(decode::<Up>);
        match up {
            Some(Ok(up)) => answers.extend(self.answer(up)),
            // A delimiter by itself is how a board begins.
            None if line.len() <= 1 => {}
            _ => self.unreadable += 1,
        }
    }

    /// The answer to one message, framed.
    fn answer(&mut self, up: Up) -> Vec<u8> {
        match up {
            Up::Poll(poll) => {
                self.polls += 1;
                self.poll = Some(poll);
                let open = self.jobs.iter().find(|job| job.end.is_none());
                framed(&open.map_or(Down::Idle { retry_after_ms: 0 }, |job| Down::Offer {
                    job: job.id,
                    attempt: 1,
                    envelope: &job.release.envelope,
                }))
            }
            Up::Report(report) => {
                let job = self.jobs.iter_mut().find(|job| job.id == report.job);
                if let Some(job) = job
                    && report.stage.is_terminal()
                {
                    job.end.get_or_insert(report.stage);
                }
                self.reports.push(report);
                framed(&Down::Ack { seq: report.seq })
            }
            Up::Fetch(fetch) => self.fetch(fetch),
            Up::Ask(question) => {
                let reply = FreshnessDraft {
                    nonce: question.nonce,
                    time: NOON,
                    latest: Order { epoch: 0, sequence: 1 },
                    trust_version: u32::try_from(self.documents.len()).unwrap_or(0) + 1,
                };
                let envelope = seal_freshness(&reply, &[&*self.freshness]).unwrap_or_default();
                framed(&Down::Fresh { envelope: &envelope })
            }
            Up::Trust { version } => {
                let index = usize::try_from(version).unwrap_or(0).checked_sub(2);
                match index.and_then(|index| self.documents.get(index)) {
                    Some(document) => framed(&Down::Trust { envelope: document }),
                    None => framed(&Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 }),
                }
            }
        }
    }

    fn fetch(&self, fetch: Fetch) -> Vec<u8> {
        let gone = Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
        let job = self.jobs.iter().find(|job| job.id == fetch.job);
        let Some(packed) = job.and_then(|job| job.release.packed.get(usize::from(fetch.image))) else {
            return framed(&gone);
        };
        let (object, unit) = match fetch.object {
            Object::Leaves => (&packed.leaves, LEAF),
            Object::Payload => (&packed.image.bytes, CHUNK),
        };
        let from = (fetch.first as usize * unit).min(object.len());
        let to = (from + usize::from(fetch.count) * unit).min(object.len());
        let bytes = object.get(from..to).unwrap_or_default();
        framed(&Down::Chunk { job: fetch.job, object: fetch.object, first: fetch.first, bytes })
    }
}

fn framed(down: &Down<'_>) -> Vec<u8> {
    const { assert!(MAX_REPORT < LONGEST) }
    let (mut message, mut line) = (vec![0; LONGEST], vec![0; LONGEST + LONGEST / 64]);
    let message = encode(down, &mut message).unwrap_or_default();
    frame(message, &mut line).map(<[u8]>::to_vec).unwrap_or_default()
}

//! What a test of an agent needs around it: a scripted server in memory, which can be told to misbehave, and a link that
//! loses, doubles, damages, delays and splits what is sent. All of it from one seed, under time that is an argument.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test tool on a host: stopping loudly is what it is for"
)]

extern crate alloc;

mod dice;
mod link;

pub use dice::Dice;
pub use link::{LossyLink, Mishaps, Weather};

use alloc::vec::Vec;

use ota_manifest::JobId;
use ota_manifest::wire::{Down, Fetch, Object, Refusal, Report, Up};
use ota_slots::sim::Release;

/// A server with one job for one device.
#[derive(Debug)]
pub struct ScriptedServer {
    release: Release,
    job: JobId,
    chunk_bytes: usize,
    reports: Vec<Report>,
    /// Bytes of payload sent, leaf lists not counted.
    served: usize,
    fetches: Vec<Fetch>,
    done: bool,
    lie: Option<Lie>,
    /// Asked before the server answers by itself.
    script: Option<Script>,
    answer: Vec<u8>,
}

/// What a server says instead of what it would say.
pub type Script = fn(&Up) -> Option<Down<'static>>;

/// What the server does wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Flips a bit of the next chunk.
    FlipChunkBit,
    /// Flips a bit of the next leaf list.
    FlipLeafBit,
    /// Numbers the next chunks wrongly.
    WrongIndex,
    /// Cuts the next chunks short.
    ShortBody,
    /// Cancels at the next fetch.
    Cancel,
}

impl ScriptedServer {
    /// Offers `release` as job `job`, in chunks of `chunk_bytes`.
    #[must_use]
    pub fn new(release: Release, job: JobId, chunk_bytes: usize) -> Self {
        Self {
            release,
            job,
            chunk_bytes,
            reports: Vec::new(),
            served: 0,
            fetches: Vec::new(),
            done: false,
            lie: None,
            script: None,
            answer: Vec::new(),
        }
    }

    /// Misbehaves once.
    pub fn lie(&mut self, lie: Lie) {
        self.lie = Some(lie);
    }

    /// Lets `script` answer what it wants to.
    pub fn script(&mut self, script: Script) {
        self.script = Some(script);
    }

    /// Every report, in order of arrival.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Payload bytes sent so far.
    #[must_use]
    pub fn served(&self) -> usize {
        self.served
    }

    /// Every request for chunks or leaves.
    #[must_use]
    pub fn fetches(&self) -> &[Fetch] {
        &self.fetches
    }

    /// Answers one message.
    pub fn answer(&mut self, up: Up) -> Down<'_> {
        if let Some(scripted) = self.script.and_then(|script| script(&up)) {
            return scripted;
        }
        match up {
            Up::Poll(_) if self.done => Down::Idle { retry_after_ms: 1000 },
            Up::Poll(_) => Down::Offer { job: self.job, attempt: 1, envelope: &self.release.envelope },
            Up::Report(report) => {
                self.done |= report.stage.is_terminal();
                self.reports.push(report);
                Down::Ack { seq: report.seq }
            }
            Up::Fetch(fetch) => self.fetch(fetch),
            // A server without freshness; a script may say more.
            Up::Ask(_) | Up::Trust { .. } => {
                Down::Refused { refusal: Refusal::Unsupported, retry_after_ms: 0 }
            }
        }
    }

    fn fetch(&mut self, fetch: Fetch) -> Down<'_> {
        self.fetches.push(fetch);
        if self.lie == Some(Lie::Cancel) {
            self.lie = None;
            return Down::Cancel { job: self.job };
        }
        let Some(built) = self.release.built.get(usize::from(fetch.image)) else {
            return Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
        };
        let (object, unit) = match fetch.object {
            Object::Leaves => (&built.leaves, 32),
            Object::Payload => (&built.image, self.chunk_bytes),
        };
        let start = (fetch.first as usize * unit).min(object.len());
        let end = (start + usize::from(fetch.count) * unit).min(object.len());
        self.answer = object[start..end].to_vec();
        if fetch.object == Object::Payload {
            self.served += self.answer.len();
        }
        let first = self.misbehave(fetch);
        Down::Chunk { job: self.job, object: fetch.object, first, bytes: &self.answer }
    }

    fn misbehave(&mut self, fetch: Fetch) -> u32 {
        match (self.lie, fetch.object) {
            (Some(Lie::FlipChunkBit), Object::Payload) | (Some(Lie::FlipLeafBit), Object::Leaves) => {
                self.answer[0] ^= 1;
            }
            (Some(Lie::ShortBody), Object::Payload) => self.answer.truncate(self.chunk_bytes - 1),
            (Some(Lie::WrongIndex), Object::Payload) => {
                self.lie = None;
                return fetch.first + 1000;
            }
            _ => return fetch.first,
        }
        self.lie = None;
        fetch.first
    }
}

//! The server's word on time and trust, and how it goes wrong.

use ota_agent::sim::Dice;
use ota_manifest::wire::{Down, Question, Refusal};
use ota_manifest::{FreshnessDraft, Nonce, Order};

use crate::chain::{self, document};

/// The server's clock when a life begins, seconds.
const NOON: u64 = 1_790_000_000;
/// More than any window holds, bytes.
const FLOOD: usize = 5000;

/// What the server's clock says, ms after a life began; seconds.
#[must_use]
pub const fn clock(now: u64) -> u64 {
    NOON + now / 1000
}

/// What it does with questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Answers.
    Honest,
    /// Does not know of such questions.
    Refuses,
    /// Puts off.
    Busy,
    /// Says nothing.
    Silent,
    /// Sends the reply to the question before.
    Replays,
    /// Signs with a key that nobody knows.
    Forges,
    /// Sends more than a device has memory for.
    Floods,
    /// Names documents that there are not.
    Boasts,
}

/// What it does with documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Papers {
    /// Sends what was asked for.
    Honest,
    /// Sends what the roots have not signed, another one each time.
    Forged,
    /// Sends the one before.
    Before,
    /// Sends the one after.
    After,
    /// Has none.
    Lost,
}

/// The part of the server that answers questions.
#[derive(Debug)]
pub struct Oracle {
    /// Its newest document.
    pub newest: u32,
    manner: Manner,
    papers: Papers,
    /// How often it is so, percent; otherwise it is honest.
    often: u8,
    before: Option<Nonce>,
    dice: Dice,
}

impl Oracle {
    /// Half of them honest in each respect, and of the others half always as bad as that.
    #[must_use]
    pub fn draw(mut dice: Dice) -> Self {
        use Manner::{Boasts, Busy, Floods, Forges, Refuses, Replays, Silent};
        use Papers::{After, Before, Forged, Lost};
        let honest = |dice: &mut Dice| dice.percent(50);
        let manner = match honest(&mut dice) {
            true => Manner::Honest,
            false => dice.pick(&[Refuses, Busy, Silent, Replays, Forges, Floods, Boasts]),
        };
        let papers = match honest(&mut dice) {
            true => Papers::Honest,
            false => dice.pick(&[Forged, Before, After, Lost]),
        };
        let often = dice.pick(&[30, 100]);
        let newest = 2 + u32::try_from(dice.below(3)).unwrap_or(0);
        Self { newest, manner, papers, often, before: None, dice }
    }

    /// Whether a device that goes on asking gets its newest document.
    #[must_use]
    pub const fn can_be_reached(&self) -> bool {
        let tells = matches!(self.manner, Manner::Honest | Manner::Boasts);
        self.often < 100 || (tells && matches!(self.papers, Papers::Honest))
    }

    /// The answer to a question, if there is one.
    pub fn ask(&mut self, question: Question, now: u64) -> Option<Vec<u8>> {
        let refused = |refusal, retry_after_ms| Some(encoded(&Down::Refused { refusal, retry_after_ms }));
        let manner = if self.dice.percent(self.often) { self.manner } else { Manner::Honest };
        let before = self.before.replace(question.nonce);
        let mut reply = FreshnessDraft {
            nonce: question.nonce,
            time: clock(now),
            latest: Order { epoch: 0, sequence: 9 },
            trust_version: self.newest,
        };
        match manner {
            Manner::Refuses => return refused(Refusal::Unsupported, 0),
            Manner::Busy => return refused(Refusal::Busy, 5000),
            Manner::Silent => return None,
            Manner::Floods => return Some(encoded(&Down::Fresh { envelope: &[7; FLOOD] })),
            Manner::Replays => reply.nonce = before.unwrap_or(Nonce::new([0; Nonce::LEN])),
            Manner::Boasts => reply.trust_version += 7,
            Manner::Honest | Manner::Forges => {}
        }
        // A key that nobody knows is that of no version.
        let signer = if manner == Manner::Forges { 0 } else { question.trust };
        Some(encoded(&Down::Fresh { envelope: &chain::reply(signer, &reply) }))
    }

    /// The answer to a device that asks for a document.
    pub fn trust(&mut self, version: u32) -> Vec<u8> {
        let papers = if self.dice.percent(self.often) { self.papers } else { Papers::Honest };
        let version = match papers {
            Papers::Before => version.saturating_sub(1),
            Papers::After => version + 1,
            Papers::Honest | Papers::Forged | Papers::Lost => version,
        };
        let known = document(version).filter(|_| version <= self.newest || papers == Papers::After);
        let mut envelope = known.filter(|_| papers != Papers::Lost).unwrap_or(&[]).to_vec();
        if papers == Papers::Forged
            && let Some(last) = envelope.last_mut()
        {
            *last ^= 1 + u8::try_from(self.dice.below(255)).unwrap_or(0);
        }
        if envelope.is_empty() {
            return encoded(&Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 });
        }
        encoded(&Down::Trust { envelope: &envelope })
    }
}

/// A message, as it travels.
#[must_use]
pub fn encoded(down: &Down<'_>) -> Vec<u8> {
    // Longest answer: a window of chunks, or a flood.
    let mut buffer = [0; 8 * 1024];
    ota_manifest::wire::encode(down, &mut buffer).map(<[u8]>::to_vec).unwrap_or_default()
}

//! What is the product's own.

use core::fmt::Display;
use std::string::String;

use ota_manifest::Nonce;
use ota_manifest::wire::{Down, Up};
use ota_verify::AuthenticFreshness;

#[cfg(feature = "self-test")]
use crate::self_test::Turn;
use crate::{Event, Fitness, Gates, SlotWork};

/// What [`Updater`](super::Updater) asks of the product that it runs in. Only the self-test has to be there.
pub trait Product {
    /// Whether the firmware on trial is fit. As long as that is not decided it is asked again, within
    /// [`Updater::nap`](super::Updater::nap). Who never decides is reset at the end of the trial's window, which uses up one
    /// attempt.
    fn self_test(&mut self) -> Trial;

    /// A freshness key has answered a question, perhaps the self-test's: for `SelfTest::answer`.
    fn heard(&mut self, _fresh: &AuthenticFreshness) {}

    /// Takes a line for the log.
    fn log(&mut self, _line: Line<'_>) {}

    /// Feeds the watchdog: called before each operation on flash while slots are worked on.
    fn feed(&mut self) {}

    /// Which gates are open, of those that [`Config`](crate::Config) makes wait.
    fn gates(&mut self) -> Gates {
        Gates::ALL
    }

    /// Whether to go on. Asked between any two steps, and at least once a nap.
    fn goes_on(&mut self) -> bool {
        true
    }

    /// The slots are worked on next: this may need another supply, or another owner of the bus.
    fn before(&mut self, _work: &SlotWork<'_>) {}
}

/// How the self-test of firmware on trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// It goes on, or could not tell.
    Undecided,
    /// It asks the server this; [`Product::heard`] brings the answer.
    Ask(Nonce),
    /// It has ended.
    Done(Fitness),
}

/// A product's self-test may be a [`SelfTest`](crate::self_test::SelfTest): each turn says how it stands.
#[cfg(feature = "self-test")]
impl From<Turn> for Trial {
    fn from(turn: Turn) -> Self {
        match turn {
            Turn::Ask(nonce) => Self::Ask(nonce),
            Turn::Done(verdict) => verdict.fitness().map_or(Self::Undecided, Self::Done),
            Turn::Progress | Turn::Ended { .. } | Turn::Wait { .. } => Self::Undecided,
        }
    }
}

/// Something worth a line.
#[non_exhaustive]
pub enum Line<'l> {
    /// The agent says so.
    Event(Event),
    /// The server answered.
    Answered {
        /// What was asked.
        up: &'l Up,
        /// What it said.
        down: &'l Down<'l>,
    },
    /// There was no answer.
    Unanswered {
        /// What was asked.
        up: &'l Up,
        /// Why.
        why: &'l dyn Display,
    },
    /// Somebody rang.
    Rung,
    /// What became of the connection.
    Link(String),
}

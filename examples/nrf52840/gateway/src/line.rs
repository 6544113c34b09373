//! What the gateway has to say.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// A line for the log: displays as a sentence, and serialises for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The board's name.
    pub board: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Its port is open.
    Opened {
        /// Where.
        port: String,
        /// Bits per second.
        baud: u32,
    },
    /// Its port cannot be opened. It is tried again.
    NotOpened {
        /// Why, and what to do.
        why: String,
    },
    /// Its port has failed or was closed. It is opened again.
    Lost {
        /// Why.
        why: String,
    },
    /// It has asked, and the answer is on its way.
    Answered {
        /// What it asked.
        asked: String,
        /// What the server said.
        answer: String,
        /// Bytes on the line for the answer.
        bytes: usize,
        /// How far its download is, if this was part of it.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// The server did not answer, so nor does the gateway: the board asks again by itself.
    Unanswered {
        /// What it asked.
        asked: String,
        /// Why.
        why: String,
    },
    /// The answer did not get to it: it takes no bytes. It asks again by itself.
    NotTaken {
        /// Bytes of the answer.
        bytes: usize,
    },
    /// Something that a person has to look after.
    Trouble(Trouble),
    /// Text between its frames.
    Text {
        /// A line of it.
        text: String,
    },
}

/// How far a download is, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// On their way or there.
    pub done: u64,
    /// In all.
    pub total: u64,
}

impl Progress {
    /// Of a hundred.
    #[must_use]
    pub fn percent(&self) -> u64 {
        self.done.saturating_mul(100).checked_div(self.total).unwrap_or(0)
    }
}

/// What only a person can put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Error)]
#[serde(tag = "trouble", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trouble {
    /// Nothing arrives.
    #[error(
        "nothing that could be a message has arrived for {seconds} s: the port is another's, the cable has no data lines, or the board is off; \
         a board that waits for its next poll is silent too, press its reset button to hear it"
    )]
    Silent {
        /// Waited so long, seconds.
        seconds: u64,
    },
    /// Bytes arrive, and they are neither frames nor text.
    #[error(
        "{bytes} bytes arrived and no frame among them ({broken} broken): the board does not send at {baud} baud (--baud), \
         or it is not a board of this family"
    )]
    Garbage {
        /// How many.
        bytes: u64,
        /// Frames with a wrong checksum, cut short or too long.
        broken: u64,
        /// What the port is set to, bits per second.
        baud: u32,
    },
    /// Only text arrives.
    #[error(
        "{bytes} bytes of text arrived and no frame: the baud rate is right, and the port is a console or another program's; \
         --verbose shows the text"
    )]
    Text {
        /// How many.
        bytes: u64,
    },
    /// Frames arrive whole, with a message that is not of this protocol.
    #[error(
        "a whole frame arrived with a message that is not known here: the board's firmware is newer than this gateway; \
         bring the server up to date first, then the gateway"
    )]
    UnknownMessage,
    /// The board speaks a version of the protocol that the gateway does not.
    #[error(
        "the board speaks version {protocol} of the protocol, and this gateway version {ours}: bring the server up to date \
         first, then the gateway"
    )]
    UnknownProtocol {
        /// The board's.
        protocol: u8,
        /// The gateway's.
        ours: u8,
    },
    /// What is sent comes back.
    #[error("the port echoes what is sent to it: it is a terminal in cooked mode, or its two wires touch")]
    Echo,
    /// The server knows no device with the board's token.
    #[error(
        "the server refuses the board's token: it is mistyped, another server's, or was revoked; enrol the board again \
         (otactl device enrol) and give the gateway the token that is printed"
    )]
    TokenRefused,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.board, self.event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { port, baud } => write!(f, "{port} is open, {baud} baud"),
            Self::NotOpened { why } => write!(f, "{why}; trying again"),
            Self::Lost { why } => write!(f, "the port is gone: {why}; trying again"),
            Self::Answered { asked, answer, bytes, progress } => {
                write!(f, "{asked} -> {answer} ({bytes} bytes)")?;
                progress.map_or(Ok(()), |progress| write!(f, " {} %", progress.percent()))
            }
            Self::Unanswered { asked, why } => write!(f, "{asked} -> {why}; the board will ask again"),
            Self::NotTaken { bytes } => {
                write!(f, "the board takes no bytes, an answer of {bytes} is given up; it will ask again")
            }
            Self::Trouble(trouble) => write!(f, "{trouble}"),
            Self::Text { text } => write!(f, "| {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_for_programs_has_the_boards_name_the_event_and_its_numbers_beside_each_other() {
        let json = |event| serde_json::to_value(Line { board: "desk".into(), event }).unwrap();
        let silent = json(Event::Trouble(Trouble::Silent { seconds: 10 }));
        let expected = r#"{"board":"desk","event":"trouble","seconds":10,"trouble":"silent"}"#;
        assert_eq!(silent.to_string(), expected);
        let (asked, answer) = ("a".to_owned(), "b".to_owned());
        let answered = json(Event::Answered { asked, answer, bytes: 9, progress: None });
        let expected = r#"{"answer":"b","asked":"a","board":"desk","bytes":9,"event":"answered"}"#;
        assert_eq!(answered.to_string(), expected);
    }

    #[test]
    fn progress_of_nothing_is_no_division_by_it() {
        assert_eq!(Progress { done: 0, total: 0 }.percent(), 0);
        assert_eq!(Progress { done: 999, total: 1000 }.percent(), 99);
    }
}

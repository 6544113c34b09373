//! One board's bytes to the server and back.

use ota_agent::Exchange;
use ota_agent::linux::{HttpLink, LinkError};
use ota_manifest::wire::stream::Losses;
use ota_manifest::wire::{Down, PROTOCOL, Refusal, Up, is_spoken};

use crate::download::Download;
use crate::health::Health;
use crate::text::TextFinder;
use crate::{Board, Bridge, Event, Heard, Line, Memory, Trouble, words};

/// Answers what a board asks, as its server does: bytes in, bytes out, lines for the log.
///
/// ```
/// use gateway::{Board, Bridge, Carrier};
/// use ota_agent::{Exchange, linux::LinkError};
/// use ota_manifest::wire::{Down, Up, stream::encode_frame};
///
/// /// In place of a server.
/// struct Nothing;
///
/// impl Exchange for Nothing {
///     type Error = LinkError;
///
///     fn exchange(&mut self, _: &Up) -> Result<Down<'_>, LinkError> {
///         Ok(Down::Trust { envelope: &[] })
///     }
/// }
///
/// let (mut memory, mut frame) = (Bridge::memory(), [0; 64]);
/// let mut carrier = Carrier::new(&Board::new("desk", "token"), Nothing, &mut memory);
/// let question = encode_frame(&Up::Trust { version: 2 }, &mut frame)?;
/// let (mut answers, mut lines) = (Vec::<u8>::new(), Vec::new());
/// for (ms, byte) in (0..).zip(question) {
///     carrier.carry(ms, &[*byte], &mut |answer| answers.extend(answer), &mut |line| lines.push(line.to_string()));
/// }
/// assert_eq!(answers.len(), 9);
/// assert_eq!(lines, ["desk: wants trust document 2 -> the document (9 bytes)"]);
/// # Ok::<(), ota_manifest::wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct Carrier<'m, L = HttpLink> {
    name: String,
    link: L,
    bridge: Bridge<'m>,
    download: Download,
    text: TextFinder,
    health: Health,
    /// What was said about the last answer, so that it is not said with each.
    told: Option<Trouble>,
}

/// How long a line may bring nothing of use before somebody is told, unless said otherwise. Ms.
pub const PATIENCE_MS: u64 = 10_000;

impl<'m, L: Exchange<Error = LinkError>> Carrier<'m, L> {
    /// A carrier between a board and `link`, which has the board's token.
    pub fn new(board: &Board, link: L, memory: &'m mut Memory) -> Self {
        Self {
            name: board.name.clone(),
            link,
            bridge: Bridge::new(memory),
            download: Download::default(),
            text: TextFinder::default(),
            health: Health::new(PATIENCE_MS, board.baud),
            told: None,
        }
    }

    /// Says after how many milliseconds without a frame somebody is told.
    #[must_use]
    pub const fn with_patience_ms(mut self, patience_ms: u64) -> Self {
        self.health.be_patient(patience_ms);
        self
    }

    /// The connection is a new one, at `now` in milliseconds.
    pub fn opened(&mut self, now: u64) {
        self.bridge.reset();
        self.text = TextFinder::default();
        self.health.opened(now, all(self.bridge.losses()));
    }

    /// Takes what the board has sent, which may be nothing, and hands the bytes of each answer to `send`. Waits for the server.
    ///
    /// Call it now and then also while nothing arrives: somebody may have to be told. `now` is in milliseconds since anything.
    pub fn carry(&mut self, now: u64, bytes: &[u8], send: &mut dyn FnMut(&[u8]), log: &mut dyn FnMut(Line)) {
        self.health.received(bytes);
        for text in self.text.feed(bytes) {
            self.log(log, Event::Text { text });
        }
        let mut rest = bytes;
        while let Some(heard) = self.bridge.hear(&mut rest) {
            self.health.framed(now, all(self.bridge.losses()));
            match heard {
                Heard::Asked(up) => self.ask(&up, send, log),
                Heard::Unknown => {
                    self.tell(log, Some(Trouble::UnknownMessage));
                    // As a server would, and the conversation goes on.
                    send(
                        self.bridge.answer(&Down::Refused { refusal: Refusal::Malformed, retry_after_ms: 0 }),
                    );
                }
                Heard::Echo => self.tell(log, Some(Trouble::Echo)),
            }
        }
        if let Some(trouble) = self.health.check(now, all(self.bridge.losses())) {
            self.log(log, Event::Trouble(trouble));
        }
    }

    fn ask(&mut self, up: &Up, send: &mut dyn FnMut(&[u8]), log: &mut dyn FnMut(Line)) {
        let up = match up {
            Up::Fetch(fetch) => Up::Fetch(self.download.portion(*fetch)),
            up => *up,
        };
        let asked = words::asked(&up);
        let down = match self.link.exchange(&up) {
            Ok(down) => down,
            // The gateway was started in the middle of a download. The board polls, is offered the job again, and goes on.
            Err(LinkError::NotOffered) => Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 },
            Err(why) => {
                let trouble = matches!(why, LinkError::Status(401 | 403)).then_some(Trouble::TokenRefused);
                // A refusal would count as the server's word, and enough of them would end a job. Silence does not.
                let event = Event::Unanswered { asked, why: why.to_string() };
                self.log(log, event);
                return self.tell(log, trouble);
            }
        };
        self.download.hear(&down);
        let progress = match (&up, &down) {
            (Up::Fetch(fetch), Down::Chunk { bytes, .. }) => self.download.progress(fetch, bytes.len()),
            _ => None,
        };
        let trouble = trouble(&up, &down);
        let answer = words::answered(&down);
        let bytes = self.bridge.answer(&down);
        send(bytes);
        let event = Event::Answered { asked, answer, bytes: bytes.len(), progress };
        self.log(log, event);
        self.tell(log, trouble);
    }

    /// Tells of trouble once, until there is none or another.
    fn tell(&mut self, log: &mut dyn FnMut(Line), trouble: Option<Trouble>) {
        if let Some(trouble) = trouble.filter(|_| trouble != self.told) {
            self.log(log, Event::Trouble(trouble));
        }
        self.told = trouble;
    }

    fn log(&self, log: &mut dyn FnMut(Line), event: Event) {
        log(Line { board: self.name.clone(), event });
    }
}

/// What an answer gives away.
fn trouble(up: &Up, down: &Down<'_>) -> Option<Trouble> {
    match (up, down) {
        (_, Down::Refused { refusal: Refusal::Unauthentic, .. }) => Some(Trouble::TokenRefused),
        (Up::Poll(poll), _) if !is_spoken(poll.protocol) => {
            Some(Trouble::UnknownProtocol { protocol: poll.protocol, ours: PROTOCOL })
        }
        _ => None,
    }
}

fn all(losses: Losses) -> u64 {
    u64::from(losses.damaged) + u64::from(losses.overlong)
}

#[cfg(test)]
mod tests {
    use ota_manifest::wire::stream::encode_frame;

    use super::*;

    /// A server that says the same each time, or does not answer.
    struct Server(fn() -> Result<Down<'static>, LinkError>);

    impl Exchange for Server {
        type Error = LinkError;

        fn exchange(&mut self, _: &Up) -> Result<Down<'_>, LinkError> {
            (self.0)()
        }
    }

    /// What a board hears, and what is logged, when it asks a server of each kind in turn.
    fn ask(servers: &[fn() -> Result<Down<'static>, LinkError>]) -> (Vec<u8>, Vec<Event>) {
        let (mut memory, mut frame) = (Bridge::memory(), [0; 64]);
        let mut carrier = Carrier::new(&Board::new("board", "token"), Server(servers[0]), &mut memory);
        let question = encode_frame(&Up::Trust { version: 2 }, &mut frame).unwrap();
        let (mut heard, mut events) = (Vec::new(), Vec::new());
        for server in servers {
            carrier.link = Server(*server);
            carrier.carry(0, question, &mut |bytes| heard.extend(bytes), &mut |line| events.push(line.event));
        }
        (heard, events)
    }

    #[test]
    fn where_there_is_no_answer_the_board_gets_none() {
        let (heard, events) = ask(&[|| Err(LinkError::Status(500)), || Err(LinkError::Malformed)]);
        assert!(heard.is_empty(), "{heard:?}");
        assert!(matches!(events[..], [Event::Unanswered { .. }, Event::Unanswered { .. }]), "{events:?}");
    }

    #[test]
    fn chunks_of_a_job_that_was_not_offered_here_send_the_board_back_to_its_server() {
        let (heard, events) = ask(&[|| Err(LinkError::NotOffered)]);
        assert_eq!(Bridge::new(&mut Bridge::memory()).received(&heard).collect::<Vec<_>>(), [Heard::Echo]);
        assert!(matches!(&events[..], [Event::Answered { answer, .. }] if answer == "refused: Gone"));
    }

    #[test]
    fn refused_token_is_trouble_whoever_says_so_and_again_after_it_was_good() {
        let by_the_server = || Ok(Down::Refused { refusal: Refusal::Unauthentic, retry_after_ms: 0 });
        let good = || Ok(Down::Trust { envelope: &[] });
        let by_a_proxy = || Err(LinkError::Status(403));
        let (_, events) = ask(&[by_the_server, by_the_server, by_a_proxy, good, by_a_proxy]);
        let refused = Event::Trouble(Trouble::TokenRefused);
        let told: Vec<_> = events.iter().enumerate().filter(|(_, event)| **event == refused).collect();
        assert_eq!(told.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 6], "{events:?}");
    }
}

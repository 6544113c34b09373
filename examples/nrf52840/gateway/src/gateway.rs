//! The loops around ports.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ota_agent::linux::{AddressError, HttpLink, Tls};

use crate::carrier::PATIENCE_MS;
use crate::pause::Pause;
use crate::{Board, Bridge, Carrier, Event, Line, Memory, SerialLine, Station};

/// How long the server may take for an answer. Shorter than boards wait for it, with time for the line.
const SERVER: Duration = Duration::from_secs(15);
/// Bytes that are read at once.
const READ: usize = 1024;
/// Sleep before a port is read again that says at once that it has nothing.
const NAP: Duration = Duration::from_millis(2);
/// First and longest pause before a port is opened again.
const REOPEN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Bits of a byte on the line, with start and stop.
const BITS: u64 = 10;

/// Carries boards to one server.
#[derive(Debug, Clone)]
pub struct Gateway {
    server: String,
    tls: Option<Tls>,
    patience_ms: u64,
}

impl Gateway {
    /// A gateway to `server`, `http://host:port`, or with `tls` `https://host:port`.
    ///
    /// # Errors
    /// [`AddressError`]: not the address of a server, or one that wants TLS.
    pub fn new(server: &str, tls: Option<Tls>) -> Result<Self, AddressError> {
        let gateway = Self { server: server.into(), tls, patience_ms: PATIENCE_MS };
        // What is wrong with the address is wrong for all boards.
        gateway.link("any").map(|_| gateway)
    }

    /// Says after how many milliseconds without a frame somebody is told what may be wrong with a line.
    #[must_use]
    pub const fn with_patience_ms(mut self, patience_ms: u64) -> Self {
        self.patience_ms = patience_ms;
        self
    }

    /// What answers a board, for those who move its bytes themselves.
    ///
    /// # Errors
    /// [`AddressError::Token`]: the board's token cannot be one.
    pub fn carrier<'m>(&self, board: &Board, memory: &'m mut Memory) -> Result<Carrier<'m>, AddressError> {
        let link = self.link(&board.token)?;
        Ok(Carrier::new(board, link, memory).with_patience_ms(self.patience_ms))
    }

    /// Serves a board at any port until `stop` is set.
    ///
    /// A read that finds nothing must end by itself, with an error of the kind `TimedOut`, `WouldBlock` or `Interrupted`: that
    /// is when `stop` is looked at. The same goes for writes.
    ///
    /// # Errors
    /// The port failed, or its other end was closed; [`ErrorKind::InvalidInput`] if the board's token cannot be one.
    pub fn serve(
        &self,
        port: impl Read + Write,
        board: &Board,
        stop: &AtomicBool,
        mut log: impl FnMut(Line),
    ) -> io::Result<()> {
        let mut memory = Bridge::memory();
        let token = |error| io::Error::new(ErrorKind::InvalidInput, error);
        let mut carrier = self.carrier(board, &mut memory).map_err(token)?;
        Shift { board, stop, started: Instant::now() }.run(port, &mut carrier, &mut log)
    }

    /// Serves a board at a serial port or a pty until `stop` is set, and opens it again whenever it was gone.
    ///
    /// # Errors
    /// [`AddressError::Token`]: the board's token cannot be one.
    pub fn keep(
        &self,
        station: &Station,
        stop: &AtomicBool,
        mut log: impl FnMut(Line),
    ) -> Result<(), AddressError> {
        let Station { board, port } = station;
        let mut memory = Bridge::memory();
        // One for all connections: a board that goes on with its download finds its job known.
        let mut carrier = self.carrier(board, &mut memory)?;
        let shift = Shift { board, stop, started: Instant::now() };
        let mut pause = Pause::new(REOPEN.0, REOPEN.1);
        let mut said = None;
        while !stop.load(Ordering::Relaxed) {
            let event = match SerialLine::open(port, board.baud) {
                Ok(line) => {
                    let opened = Event::Opened { port: port.display().to_string(), baud: board.baud };
                    log(shift.line(opened));
                    said = None;
                    let served = Instant::now();
                    let ended = shift.run(line, &mut carrier, &mut log);
                    if served.elapsed() > REOPEN.1 {
                        pause.worked();
                    }
                    ended.err().map(|why| Event::Lost { why: why.to_string() })
                }
                Err(why) => Some(Event::NotOpened { why: why.to_string() }),
            };
            // Each reason once: a port that stays away for a night is one line.
            if let Some(event) = event.filter(|event| said.as_ref() != Some(event)) {
                log(shift.line(event.clone()));
                said = Some(event);
            }
            pause.sleep(stop);
        }
        Ok(())
    }

    fn link(&self, token: &str) -> Result<HttpLink, AddressError> {
        match &self.tls {
            Some(tls) => HttpLink::with_tls(&self.server, token, SERVER, tls),
            None => HttpLink::new(&self.server, token, SERVER),
        }
    }
}

/// Work at one board's ports.
struct Shift<'s> {
    board: &'s Board,
    stop: &'s AtomicBool,
    started: Instant,
}

impl Shift<'_> {
    /// Until the port fails, or it is to stop.
    fn run(
        &self,
        mut port: impl Read + Write,
        carrier: &mut Carrier<'_>,
        log: &mut dyn FnMut(Line),
    ) -> io::Result<()> {
        carrier.opened(self.now());
        let mut buffer = [0; READ];
        while !self.stop.load(Ordering::Relaxed) {
            let read = match port.read(&mut buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "its other end was closed")),
                Ok(read) => read,
                Err(error) if is_pause(&error) => {
                    nap(&error);
                    0
                }
                Err(error) => return Err(error),
            };
            let bytes = buffer.get(..read).unwrap_or_default();
            let mut written = Ok(());
            let mut not_taken = None;
            let send = &mut |answer: &[u8]| match self.write(&mut port, answer) {
                Err(error) if is_pause(&error) => not_taken = Some(answer.len()),
                done => written = done,
            };
            carrier.carry(self.now(), bytes, send, log);
            if let Some(bytes) = not_taken {
                log(self.line(Event::NotTaken { bytes }));
            }
            written?;
        }
        Ok(())
    }

    /// Writes an answer, for at most as long as its length may take on such a line.
    fn write(&self, port: &mut impl Write, answer: &[u8]) -> io::Result<()> {
        let end = Instant::now() + patience(answer.len(), self.board.baud);
        let mut rest = answer;
        while !rest.is_empty() {
            match port.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                Err(error)
                    if is_pause(&error) && Instant::now() < end && !self.stop.load(Ordering::Relaxed) =>
                {
                    nap(&error);
                }
                Err(error) => return Err(error),
            }
        }
        port.flush()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn line(&self, event: Event) -> Line {
        Line { board: self.board.name.clone(), event }
    }
}

/// Twice the time that so many bytes take on the line, and a second.
fn patience(bytes: usize, baud: u32) -> Duration {
    let bits = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(BITS);
    Duration::from_millis(bits.saturating_mul(2 * 1000) / u64::from(baud.max(1)) + 1000)
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A port that does not wait by itself would make the loop a busy one.
fn nap(error: &io::Error) {
    if error.kind() == ErrorKind::WouldBlock {
        std::thread::sleep(NAP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_for_an_answer_follows_from_its_length_and_the_baud_rate() {
        assert_eq!(patience(4096, 115_200), Duration::from_millis(1711));
        assert_eq!(patience(65_536, 9_600), Duration::from_millis(137_533));
        assert_eq!(patience(0, 0), Duration::from_secs(1));
    }
}

//! Where boards are plugged in: a pty under a name that stays the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embedded_io::ErrorKind;
use ota_agent::linux::{Doorbell, LinkError};
use ota_agent::{Buffers, Exchange, StreamLink, StreamPort};
use ota_manifest::wire::{Down, Up};
use serial2::SerialPort;

/// A socket; clones are the same one.
#[derive(Clone)]
pub(crate) struct Socket {
    /// The name.
    pub(crate) port: PathBuf,
    plugged: Arc<Mutex<Option<Plugged>>>,
}

struct Plugged {
    board: SerialPort,
    /// Open, so that it keeps its settings while no gateway is there.
    _line: SerialPort,
}

impl Socket {
    pub(crate) fn new(port: &Path) -> Self {
        let socket = Self { port: port.into(), plugged: Arc::default() };
        socket.plug();
        socket
    }

    pub(crate) fn plug(&self) {
        let (mut board, line) = SerialPort::pair().unwrap();
        board.set_read_timeout(Duration::from_millis(10)).unwrap();
        let name = rustix::pty::ptsname(&board, Vec::new()).unwrap();
        symlink(name.to_str().unwrap(), &self.port).unwrap();
        *self.plugged.lock().unwrap() = Some(Plugged { board, _line: line });
    }

    pub(crate) fn unplug(&self) {
        fs::remove_file(&self.port).unwrap();
        *self.plugged.lock().unwrap() = None;
    }

    /// Sends bytes as the board would.
    pub(crate) fn say(&self, bytes: &[u8]) {
        self.plugged.lock().unwrap().as_ref().unwrap().board.write_all(bytes).unwrap();
    }

    /// A board's link, with a window and an envelope of these lengths. `line` may do something to what goes over it.
    pub(crate) fn link(&self, window: usize, envelope: usize, line: Quality) -> SerialLink {
        let buffers = Buffers { envelope: &mut vec![0; envelope], window: &mut vec![0; window] };
        // One for each boot of a test.
        let memory = vec![0; StreamLink::memory(window, envelope)].leak();
        let link = StreamLink::new(memory, &buffers).unwrap();
        SerialLink { socket: self.clone(), link, line, exchanges: 0 }
    }
}

/// What a line does to bytes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Quality {
    Good,
    /// Boot text and noise before messages, and some of these cut in either direction.
    Bad,
}

/// The board's end.
pub(crate) struct SerialLink {
    socket: Socket,
    link: StreamLink<'static>,
    line: Quality,
    exchanges: u32,
}

impl SerialLink {
    /// Longest wait for an answer. A gateway that has none sends none.
    const TIMEOUT_MS: u32 = 250;
}

impl Exchange for SerialLink {
    type Error = LinkError;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, LinkError> {
        let plugged = self.socket.plugged.lock().unwrap();
        let Some(Plugged { board, .. }) = plugged.as_ref() else {
            drop(plugged);
            std::thread::sleep(Duration::from_millis(20));
            return Err(LinkError::Http("unplugged".into()));
        };
        let begun = Instant::now();
        let clock = || u64::try_from(begun.elapsed().as_millis()).unwrap();
        self.exchanges += 1;
        let suffers = |every| self.line == Quality::Bad && self.exchanges.is_multiple_of(every);
        let uart = Uart { port: board, noise: suffers(2), cut_up: suffers(5), cut_down: suffers(3) };
        let mut port = StreamPort::new(&mut self.link, uart, clock, Self::TIMEOUT_MS);
        let answered = port.exchange(up).map(|_| ()).map_err(|error| error.to_string());
        answered.map_err(|error| LinkError::Http(error.into()))?;
        self.link.message().ok_or(LinkError::Malformed)
    }
}

impl Doorbell for SerialLink {}

/// The board's driver, for one exchange.
struct Uart<'p> {
    port: &'p SerialPort,
    /// There is something else before the message.
    noise: bool,
    /// Half the message is lost.
    cut_up: bool,
    /// Some bytes of the answer are lost, as in an erase that took too long.
    cut_down: bool,
}

impl embedded_io::ErrorType for Uart<'_> {
    type Error = ErrorKind;
}

impl embedded_io::Read for Uart<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            let read = self.port.read(into).map_err(|error| match error.kind() {
                std::io::ErrorKind::TimedOut => ErrorKind::TimedOut,
                _ => ErrorKind::Other,
            })?;
            let kept = if std::mem::take(&mut self.cut_down) { read / 2 } else { read };
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

impl embedded_io::Write for Uart<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut line = Vec::new();
        if self.noise {
            line.extend_from_slice(b"boot: slot B on trial\r\n\xFF\x80\x03");
        }
        let cut = if self.cut_up { bytes.len() / 2 } else { bytes.len() };
        line.extend_from_slice(&bytes[..cut]);
        self.port.write_all(&line).map_err(|_| ErrorKind::Other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

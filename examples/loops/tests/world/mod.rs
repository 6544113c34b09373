//! What is around a loop: a board, a port with a server behind it, a bus with a sensor or without, and time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::task::Poll;

use ed25519_dalek::{Signer as _, SigningKey};
use embedded_hal::i2c::{self, I2c};
use loops::blocking::BareBoard;
use loops::board::Board;
use ota_agent::self_test::Watchdog;
use ota_agent::sim::ScriptedServer;
use ota_agent::{Event, Input};
use ota_manifest::wire::stream::{Decoder, encode_frame};
use ota_manifest::wire::{Down, Report, Up, decode};
use ota_manifest::{FreshnessDraft, JobId, Order};
use ota_slots::sim::Lab;
use ota_verify::sign::{Signature, Signer, SignerError, seal_freshness};
use ota_verify::{PublicKey, Tbs};

/// How a session ended. It travels as a panic that nobody reports: nothing of a session outlives a reset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Reset,
    /// The server has the last report and the device asks for work again.
    Settled,
}

/// Longest time without food that the watchdog stands, ms.
const HUNGER: u64 = 4_000;
/// When there is work, and somebody rings.
const OFFER_AT: u64 = 5_000;
/// What the new firmware has to confirm itself, s.
const WINDOW_S: u16 = 60;
/// When a device that asked before is to ask again, ms.
pub(crate) const RETRY: u64 = 3_600_000;

pub(crate) struct World {
    pub(crate) now: Cell<u64>,
    pub(crate) events: RefCell<Vec<Event>>,
    pub(crate) has_sensor: bool,
    /// Whether the server has its freshness key.
    pub(crate) is_fresh: bool,
    fed: Cell<u64>,
    rung: Cell<bool>,
    draws: Cell<u8>,
    server: RefCell<ScriptedServer>,
    /// What the device has written and nobody has read as a message yet; what waits for it.
    up: RefCell<Vec<u8>>,
    down: RefCell<VecDeque<u8>>,
}

impl World {
    pub(crate) fn new(has_sensor: bool, is_fresh: bool) -> Self {
        let release = Lab::new().release_with(2, 5000, |draft| draft.confirm_window_s = WINDOW_S);
        Self {
            now: Cell::new(0),
            events: RefCell::default(),
            has_sensor,
            is_fresh,
            fed: Cell::new(0),
            rung: Cell::new(false),
            draws: Cell::new(0),
            server: RefCell::new(ScriptedServer::new(release, JobId::new([0xAB; 16]), 1024)),
            up: RefCell::default(),
            down: RefCell::default(),
        }
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.server.borrow().reports().to_vec()
    }

    /// The device boots: watchdog fed, nothing on the line.
    pub(crate) fn boots(&self) {
        self.fed.set(self.now.get());
        self.up.take();
        self.down.take();
    }

    /// Whether it is time to ring, once.
    pub(crate) fn rings(&self) -> bool {
        self.now.get() >= OFFER_AT && !self.rung.replace(true)
    }

    fn written(&self, bytes: &[u8]) -> usize {
        self.up.borrow_mut().extend(bytes);
        let line = self.up.take();
        let mut memory = [0; 256];
        let mut decoder = Decoder::new(&mut memory);
        match decoder.feed(&mut &line[..]) {
            Some(message) => self.answer(decode(message).expect("a device speaks the protocol")),
            None => *self.up.borrow_mut() = line,
        }
        bytes.len()
    }

    fn answer(&self, up: Up) {
        let mut server = self.server.borrow_mut();
        let settled = server.reports().last().is_some_and(|report| report.stage.is_terminal());
        let envelope;
        let down = match up {
            Up::Poll(_) if settled => resume_unwind(Box::new(End::Settled)),
            Up::Poll(_) if self.now.get() < OFFER_AT => {
                Down::Idle { retry_after_ms: u32::try_from(RETRY).expect("an hour") }
            }
            Up::Ask(question) if self.is_fresh => {
                let reply = FreshnessDraft {
                    nonce: question.nonce,
                    time: 1_790_000_000,
                    latest: Order::default(),
                    trust_version: 1,
                };
                envelope = seal_freshness(&reply, &[&Freshness]).expect("a reply that fits");
                Down::Fresh { envelope: &envelope }
            }
            up => server.answer(up),
        };
        let mut frame = vec![0; 20_000];
        self.down.borrow_mut().extend(encode_frame(&down, &mut frame).expect("room"));
    }

    /// A UART hands out what it has, not what one wants.
    fn read(&self, into: &mut [u8]) -> usize {
        let mut down = self.down.borrow_mut();
        let some = into.len().min(down.len()).min(700);
        into.iter_mut().zip(down.drain(..some)).for_each(|(to, from)| *to = from);
        some
    }
}

/// The server's second key.
pub(crate) struct Freshness;

impl Freshness {
    fn key() -> SigningKey {
        SigningKey::from_bytes(&[2; 32])
    }
}

impl Signer for Freshness {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(Self::key().verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&Self::key().sign(tbs.as_bytes()).to_bytes())
    }
}

pub(crate) struct Hands<'w>(pub(crate) &'w World);

impl Watchdog for Hands<'_> {
    fn feed(&mut self) {
        let hungry = self.0.now.get() - self.0.fed.replace(self.0.now.get());
        assert!(hungry < HUNGER, "the watchdog bites after {hungry} ms");
    }
}

impl Board for Hands<'_> {
    fn random<const N: usize>(&mut self) -> [u8; N] {
        self.0.draws.set(self.0.draws.get() + 1);
        [self.0.draws.get(); N]
    }

    fn log(&mut self, event: Event) {
        self.0.events.borrow_mut().push(event);
    }

    fn reset(&mut self) -> ! {
        resume_unwind(Box::new(End::Reset))
    }
}

impl BareBoard for Hands<'_> {
    fn now(&mut self) -> u64 {
        self.0.now.get()
    }

    fn news(&mut self) -> Option<Input<'static>> {
        self.0.rings().then_some(Input::Doorbell)
    }

    fn idle(&mut self) {
        self.0.now.set(self.0.now.get() + 1);
    }
}

/// The line to the server.
pub(crate) struct Port<'w>(pub(crate) &'w World);

impl embedded_io::ErrorType for Port<'_> {
    type Error = Infallible;
}

impl embedded_io::Read for Port<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        Ok(self.0.read(into))
    }
}

impl embedded_io::ReadReady for Port<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.down.borrow().is_empty())
    }
}

impl embedded_io::Write for Port<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.0.written(bytes))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl embedded_io_async::Read for Port<'_> {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        let read = poll_fn(|_| match self.0.read(into) {
            0 => Poll::Pending,
            some => Poll::Ready(some),
        });
        Ok(read.await)
    }
}

impl embedded_io_async::Write for Port<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(self.0.written(bytes))
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The bus, and what is on it.
pub(crate) struct Bus<'w>(pub(crate) &'w World);

impl i2c::ErrorType for Bus<'_> {
    type Error = i2c::ErrorKind;
}

impl I2c for Bus<'_> {
    fn transaction(&mut self, address: u8, work: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
        match work {
            [i2c::Operation::Write([0xD0]), i2c::Operation::Read(into)]
                if address == 0x76 && self.0.has_sensor =>
            {
                into.fill(0x60);
                Ok(())
            }
            _ => Err(i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address)),
        }
    }
}

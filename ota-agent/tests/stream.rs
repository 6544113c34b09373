//! The agent over a byte stream: whatever the line does to bytes, updates end as they should, and both loops do the same.

mod common;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::{CHUNK, Device, Firmware, JOB, Line, WINDOW, bytes};
use embedded_io::{ErrorKind, ErrorType};
use ota_agent::sim::ScriptedServer;
use ota_agent::{
    AsyncExchange, Buffers, Exchange, MemoryTooSmall, StreamError, StreamLink, StreamLosses, StreamPort,
};
use ota_manifest::wire::stream::{Decoder, encode_frame, frame, max_frame};
use ota_manifest::wire::{
    Down, FailedProbes, FailedStage, Fetch, MAX_REPORT, Object, PROTOCOL, Question, Refusal, Report,
    ResetCause, RollbackReason, Stage, Up, decode,
};
use ota_manifest::{JobId, ManifestId, Nonce, Order, SecurityVersion, Version};
use proptest::prelude::*;

const ENVELOPE: usize = 1536;
const ACK: Down<'static> = Down::Ack { seq: 7 };

/// A link for an agent with a window of four chunks.
fn link() -> StreamLink<'static> {
    link_with(StreamLink::memory(WINDOW, ENVELOPE))
}

fn link_with(memory: usize) -> StreamLink<'static> {
    let (mut envelope, mut window) = ([0; ENVELOPE], [0; WINDOW]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    StreamLink::new(vec![0; memory].leak(), &buffers).unwrap()
}

/// Both directions of a serial line, in memory.
#[derive(Default)]
struct Port {
    written: Vec<u8>,
    to_read: VecDeque<u8>,
    /// Most bytes that are taken or given at once; 0 for no limit.
    piece: usize,
    closed: bool,
    /// A read with nothing there would wait for ever.
    patient: bool,
    flushed: usize,
}

impl Port {
    fn pieces(piece: usize) -> Self {
        Self { piece, ..Self::default() }
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        assert!(!into.is_empty(), "a read into nothing looks like the end");
        let len = into.len().min(self.to_read.len()).min(self.limit());
        into.iter_mut().zip(self.to_read.drain(..len)).for_each(|(place, byte)| *place = byte);
        len
    }

    fn give(&mut self, bytes: &[u8]) -> usize {
        let len = if self.closed { 0 } else { bytes.len().min(self.limit()) };
        self.written.extend_from_slice(&bytes[..len]);
        len
    }

    fn limit(&self) -> usize {
        if self.piece == 0 { usize::MAX } else { self.piece }
    }
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl embedded_io::Read for Port {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.take(into) {
            0 if !self.closed && self.patient => panic!("waits for ever"),
            0 if !self.closed => Err(ErrorKind::TimedOut),
            bytes => Ok(bytes),
        }
    }
}

impl embedded_io::ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.closed || !self.to_read.is_empty())
    }
}

impl embedded_io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Ok(self.give(bytes))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.flushed += 1;
        Ok(())
    }
}

impl embedded_io_async::Read for Port {
    async fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.take(into) {
            0 if !self.closed => std::future::pending().await,
            bytes => Ok(bytes),
        }
    }
}

impl embedded_io_async::Write for Port {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        Ok(self.give(bytes))
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.flushed += 1;
        Ok(())
    }
}

/// What a future says when it is asked once; `None` if it would wait, and is dropped then.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The loops.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loop {
    Blocking,
    Polled,
    Async,
}

const LOOPS: [Loop; 3] = [Loop::Blocking, Loop::Polled, Loop::Async];

impl Loop {
    fn send(self, link: &mut StreamLink<'_>, port: &mut Port, up: &Up) -> Result<(), StreamError<ErrorKind>> {
        match self {
            Self::Async => now(link.send_async(port, up)).expect("this port takes all it gets"),
            _ => link.send_blocking(port, up),
        }
    }

    /// Everything that is there to be received, as bytes of messages.
    fn drain(self, link: &mut StreamLink<'_>, port: &mut Port) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            let nothing = port.to_read.is_empty();
            let received = match self {
                Self::Blocking => link.receive_blocking(port),
                Self::Polled => link.poll_blocking(port),
                Self::Async => now(link.receive_async(port)).unwrap_or(Ok(None)),
            };
            match received.unwrap() {
                Some(down) => messages.push(bytes(&down)),
                None if nothing => return messages,
                None => {}
            }
        }
    }
}

fn framed(down: &Down<'_>) -> Vec<u8> {
    encode_frame(down, &mut vec![0; max_frame(2 * WINDOW)]).unwrap().to_vec()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }
}

/// A serial line with a server at its end.
struct Serial {
    which: Loop,
    link: StreamLink<'static>,
    port: Port,
    server: Decoder<'static>,
    random: Random,
    /// One byte in so many is flipped, lost or doubled; 0 for none.
    damage: u64,
    /// Text of others on the same line.
    noise: &'static [u8],
    unread: u32,
}

impl Serial {
    fn new(which: Loop, piece: usize) -> Self {
        Self {
            which,
            link: link(),
            port: Port::pieces(piece),
            server: Decoder::new(vec![0; MAX_REPORT + 4].leak()),
            random: Random(0x5EED),
            damage: 0,
            noise: b"",
            unread: 0,
        }
    }

    fn damaged(&mut self, line: Vec<u8>) -> Vec<u8> {
        let mut arrived = self.noise.to_vec();
        for byte in line {
            if self.damage == 0 || !self.random.one_in(self.damage) {
                arrived.push(byte);
                continue;
            }
            match self.random.next() % 3 {
                0 => {}
                1 => arrived.extend([byte, byte]),
                _ => arrived.push(byte ^ 1 << (self.random.next() % 8)),
            }
        }
        arrived
    }
}

impl Line for Serial {
    fn exchange(&mut self, up: Up, server: &mut ScriptedServer) -> Vec<Vec<u8>> {
        self.which.send(&mut self.link, &mut self.port, &up).unwrap();
        let written = std::mem::take(&mut self.port.written);
        let asked = self.damaged(written);
        let mut rest = &asked[..];
        let mut answers = Vec::new();
        while let Some(message) = self.server.feed(&mut rest) {
            match decode(message) {
                Ok(up) => answers.extend([&[0], &framed(&server.answer(up))[..]].concat()),
                Err(_) => self.unread += 1,
            }
        }
        let answers = self.damaged(answers);
        self.port.to_read.extend(answers);
        self.which.drain(&mut self.link, &mut self.port)
    }
}

fn device() -> Device {
    Device::new(Firmware::Fit, |lab| lab.release(2, 12_500))
}

#[test]
fn update_over_a_line_is_the_same_update_in_every_loop_and_in_any_pieces() {
    let mut without = device();
    without.live();
    for which in LOOPS {
        for piece in [0, 1, 7, 64, 1000] {
            let mut device = device();
            device.line = Some(Box::new(Serial::new(which, piece)));
            device.live();
            assert_eq!(device.running, 2);
            assert_eq!(device.server.reports(), without.server.reports(), "{which:?} {piece}");
            assert_eq!(device.server.fetches(), without.server.fetches(), "{which:?} {piece}");
        }
    }
}

#[test]
fn update_over_a_line_with_text_of_others_costs_nothing_but_their_frames() {
    let mut device = device();
    device.line =
        Some(Box::new(Serial { noise: b"[1.5] app: still here\r\n", ..Serial::new(Loop::Async, 50) }));
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert_eq!(device.server.served(), 12_500, "nothing was fetched twice");
}

#[test]
fn update_over_a_line_that_damages_bytes_ends_confirmed() {
    for which in LOOPS {
        for (seed, damage) in [(1, 20_000), (2, 10_000), (3, 3_000)] {
            let mut device = device();
            let random = Random(seed);
            device.line = Some(Box::new(Serial { random, damage, ..Serial::new(which, 100) }));
            device.live();
            assert_eq!(device.terminals(), [Stage::Confirmed], "{which:?} {seed}");
            assert_eq!(device.running, 2);
            assert!(
                !device.events.iter().any(|event| format!("{event:?}").contains("ChunkRefused")),
                "checksums came first"
            );
        }
    }
}

#[test]
fn every_message_of_a_device_is_sent() {
    let version = Version { major: u16::MAX, minor: u16::MAX, patch: u16::MAX, build: u32::MAX };
    let order = Order { epoch: u16::MAX, sequence: u32::MAX };
    let poll = Up::Poll(ota_manifest::wire::Poll {
        protocol: PROTOCOL,
        version,
        order,
        floor: SecurityVersion(u32::MAX),
        running: ManifestId::new([0xFF; 8]),
        bootloader: u16::MAX,
        hardware: u16::MAX,
    });
    let report = |stage| Up::Report(Report { job: JobId::new([0; 16]), attempt: 255, seq: u32::MAX, stage });
    let ups = [
        poll,
        Up::Fetch(Fetch { job: JOB, image: 255, object: Object::Payload, first: u32::MAX, count: u16::MAX }),
        report(Stage::Downloading { done: u32::MAX, total: u32::MAX }),
        report(Stage::Failed { at: FailedStage::Pending, code: u16::MAX }),
        report(Stage::RolledBack {
            reason: RollbackReason::JournalLost,
            cause: ResetCause::Lockup,
            boots: 255,
            failed: FailedProbes::NONE,
        }),
    ];
    let (mut link, mut port) = (link(), Port::pieces(5));
    let mut memory = [0; MAX_REPORT + 4];
    let mut server = Decoder::new(&mut memory);
    for up in ups {
        link.send_blocking(&mut port, &up).unwrap();
        let line = std::mem::take(&mut port.written);
        let message = server.feed(&mut &line[..]).map(decode::<Up>);
        assert_eq!(message, Some(Ok(up)));
    }
    assert_eq!(port.flushed, 5);
}

#[test]
fn message_that_was_cut_off_does_not_cost_the_next_one() {
    let (mut link, mut port) = (link(), Port::default());
    let up = Up::Report(Report { job: JOB, attempt: 1, seq: 1, stage: Stage::Accepted });
    link.send(&up);
    let half = link.to_write().len() / 2;
    port.written.extend_from_slice(&link.to_write()[..half]);
    link.written(half);
    link.send_blocking(&mut port, &up).unwrap();
    let mut memory = [0; MAX_REPORT + 4];
    let mut server = Decoder::new(&mut memory);
    let mut line = &port.written[..];
    assert_eq!(server.feed(&mut line).map(decode::<Up>), Some(Ok(up)));
    assert_eq!(server.losses().damaged, 1);
}

#[test]
fn messages_that_arrive_together_are_handed_out_one_by_one() {
    for which in LOOPS {
        let (mut link, mut port) = (link(), Port::default());
        let idle = Down::Idle { retry_after_ms: 5 };
        port.to_read.extend([framed(&ACK), framed(&idle), framed(&ACK)].concat());
        assert_eq!(which.drain(&mut link, &mut port), [bytes(&ACK), bytes(&idle), bytes(&ACK)], "{which:?}");
    }
}

#[test]
fn message_of_a_newer_server_is_passed_over_and_counted() {
    for which in LOOPS {
        let (mut link, mut port) = (link(), Port::default());
        for unknown in [&[99, 1, 2][..], &[0x80, 1], &[5, 99, 0], &[], &[2, 0x87, 0]] {
            port.to_read.extend(frame(unknown, &mut [0; 16]).unwrap());
        }
        port.to_read.extend(framed(&ACK));
        assert_eq!(which.drain(&mut link, &mut port), [bytes(&ACK)], "{which:?}");
        assert_eq!(link.losses(), StreamLosses { unreadable: 5, ..StreamLosses::default() });
    }
}

#[test]
fn message_longer_than_a_window_is_dropped_and_the_next_one_arrives() {
    let chunk = |len| vec![0xA5; len];
    let down = |bytes| Down::Chunk { job: JOB, object: Object::Payload, first: u32::MAX, bytes };
    let (whole, longer) = (chunk(WINDOW), chunk(WINDOW + 64));
    let (mut link, mut port) = (link(), Port::default());
    port.to_read.extend([framed(&down(&longer)), framed(&down(&whole))].concat());
    assert_eq!(Loop::Polled.drain(&mut link, &mut port), [bytes(&down(&whole))]);
    assert_eq!(link.losses().frames.overlong, 1);
}

#[test]
fn longest_envelope_arrives_even_where_the_window_is_shorter() {
    let (mut envelope, mut window) = ([0; 4096], [0; CHUNK]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut memory = [0; StreamLink::memory(CHUNK, 4096)];
    let mut link = StreamLink::new(&mut memory, &buffers).unwrap();
    let offered = [0xE7; 4096];
    let down = Down::Offer { job: JOB, attempt: 255, envelope: &offered };
    let mut port = Port::default();
    port.to_read.extend(framed(&down));
    assert_eq!(Loop::Polled.drain(&mut link, &mut port), [bytes(&down)]);
}

#[test]
fn memory_that_does_not_hold_a_window_is_refused_at_once() {
    let (mut envelope, mut window) = ([0; ENVELOPE], [0; WINDOW]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let needed = StreamLink::memory(WINDOW, ENVELOPE);
    assert_eq!(needed, WINDOW + 28 + 4 + 64);
    for lent in [0, 1, WINDOW, needed - 1] {
        let refused = StreamLink::new(&mut vec![0; lent], &buffers).map(|_| ()).unwrap_err();
        assert_eq!(refused, MemoryTooSmall { lent, needed });
    }
    assert!(StreamLink::new(&mut vec![0; needed], &buffers).is_ok());
}

#[test]
fn more_memory_is_used_to_read_more_at_once() {
    assert_eq!(link().space().len(), 64);
    assert_eq!(link_with(StreamLink::memory(WINDOW, ENVELOPE) + 400).space().len(), 464);
}

#[test]
fn closed_port_is_an_error_in_every_loop() {
    for which in LOOPS {
        let (mut link, mut port) = (link(), Port { closed: true, ..Port::default() });
        let fetch = Up::Fetch(Fetch { job: JOB, image: 0, object: Object::Payload, first: 0, count: 1 });
        assert_eq!(which.send(&mut link, &mut port, &fetch), Err(StreamError::Closed));
        let received = match which {
            Loop::Blocking => link.receive_blocking(&mut port),
            Loop::Polled => link.poll_blocking(&mut port),
            Loop::Async => now(link.receive_async(&mut port)).unwrap(),
        };
        assert_eq!(received, Err(StreamError::Closed), "{which:?}");
    }
}

#[test]
fn polling_never_waits_whatever_has_arrived() {
    let (mut link, mut port) = (link(), Port { patient: true, ..Port::default() });
    assert_eq!(link.poll_blocking(&mut port), Ok(None));
    let two = [framed(&ACK), framed(&ACK)].concat();
    port.to_read.extend(&two[..two.len() - 1]);
    assert_eq!(link.poll_blocking(&mut port), Ok(Some(ACK)));
    for _ in 0..3 {
        assert_eq!(link.poll_blocking(&mut port), Ok(None), "half of the second one was read with the first");
    }
    port.to_read.push_back(0);
    assert_eq!(link.poll_blocking(&mut port), Ok(Some(ACK)));
}

#[test]
fn port_that_fails_is_an_error_and_one_that_was_interrupted_is_not() {
    struct Failing(ErrorKind);
    impl ErrorType for Failing {
        type Error = ErrorKind;
    }
    impl embedded_io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            Err(self.0)
        }
    }
    impl embedded_io_async::Read for Failing {
        async fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            Err(self.0)
        }
    }
    for (kind, expected) in [
        (ErrorKind::TimedOut, Ok(None)),
        (ErrorKind::Interrupted, Ok(None)),
        (ErrorKind::ConnectionReset, Err(StreamError::Port(ErrorKind::ConnectionReset))),
    ] {
        assert_eq!(link().receive_blocking(&mut Failing(kind)), expected);
        assert_eq!(now(link().receive_async(&mut Failing(kind))), Some(expected));
    }
}

#[test]
fn line_that_never_falls_silent_does_not_keep_the_caller() {
    let (mut link, mut port) = (link(), Port::default());
    port.to_read.extend([0x41; 1000]);
    assert_eq!(link.poll_blocking(&mut port), Ok(None));
    assert_eq!(port.to_read.len(), 1000 - 64, "one read, and back");
    assert_eq!(now(link.receive_async(&mut port)), Some(Ok(None)));
    assert_eq!(port.to_read.len(), 1000 - 128);
}

#[test]
fn new_connection_knows_nothing_of_the_old_one() {
    let (mut link, mut port) = (link(), Port::default());
    port.to_read.extend(&framed(&ACK)[..4]);
    assert_eq!(link.poll_blocking(&mut port), Ok(None));
    link.send(&Up::Report(Report { job: JOB, attempt: 1, seq: 1, stage: Stage::Accepted }));
    link.reset();
    assert!(link.to_write().is_empty());
    port.to_read.extend(framed(&ACK));
    assert_eq!(Loop::Polled.drain(&mut link, &mut port), [bytes(&ACK)]);
    assert_eq!(link.losses(), StreamLosses::default());
}

#[test]
fn receiving_that_is_given_up_loses_nothing() {
    let (mut link, mut port) = (link(), Port::default());
    let line = framed(&Down::Idle { retry_after_ms: 9 });
    for byte in &line[..line.len() - 1] {
        port.to_read.push_back(*byte);
        assert_eq!(now(link.receive_async(&mut port)), Some(Ok(None)));
        assert!(now(link.receive_async(&mut port)).is_none(), "waits, and is dropped");
    }
    port.to_read.push_back(0);
    assert_eq!(now(link.receive_async(&mut port)), Some(Ok(Some(Down::Idle { retry_after_ms: 9 }))));
}

#[test]
fn more_than_was_there_is_not_believed_to_be_written_or_read() {
    let mut link = link();
    link.send(&Up::Fetch(Fetch { job: JOB, image: 0, object: Object::Leaves, first: 0, count: 1 }));
    link.written(usize::MAX);
    assert!(link.to_write().is_empty());
    link.received(usize::MAX);
    while link.advance() {}
    assert!(!link.space().is_empty());
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_do_the_same_in_every_loop(
        line in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(0)], 0..500),
        acks in proptest::collection::vec(any::<u32>(), 0..4),
        piece in 0..80usize,
    ) {
        let good: Vec<u8> = acks.iter().flat_map(|seq| framed(&Down::Ack { seq: *seq })).collect();
        let line = [&line[..], &[0], &good].concat();
        let heard = LOOPS.map(|which| {
            let (mut link, mut port) = (link(), Port::pieces(piece));
            port.to_read.extend(&line);
            (which.drain(&mut link, &mut port), link.losses())
        });
        prop_assert_eq!(&heard[0], &heard[1]);
        prop_assert_eq!(&heard[0], &heard[2]);
        let expected: Vec<Vec<u8>> = acks.iter().map(|seq| bytes(&Down::Ack { seq: *seq })).collect();
        prop_assert!(heard[0].0.ends_with(&expected));
    }
}

/// A question to which one of these answers belongs, and the others to earlier ones.
fn asked_and_answered() -> Vec<(Up, Vec<Down<'static>>, Down<'static>)> {
    let report = |seq| Up::Report(Report { job: JOB, attempt: 1, seq, stage: Stage::Accepted });
    let fetch = Fetch { job: JOB, image: 0, object: Object::Payload, first: 8, count: 4 };
    let chunk = |job, object, first| Down::Chunk { job, object, first, bytes: &[1, 2, 3] };
    let others = JobId::new([1; 16]);
    let (idle, gone) =
        (Down::Idle { retry_after_ms: 5 }, Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 });
    let late = [
        Down::Ack { seq: 6 },
        chunk(others, Object::Payload, 8),
        chunk(JOB, Object::Leaves, 8),
        chunk(JOB, Object::Payload, 7),
        chunk(JOB, Object::Payload, 12),
    ];
    let with = |more: &[Down<'static>]| [&late[..], more].concat();
    vec![
        (report(7), with(&[idle]), ACK),
        (report(7), with(&[idle]), Down::Cancel { job: JOB }),
        (Up::Fetch(fetch), with(&[idle, ACK]), chunk(JOB, Object::Payload, 11)),
        (Up::Fetch(fetch), with(&[idle, ACK]), gone),
        (
            Up::Trust { version: 2 },
            with(&[idle, Down::Fresh { envelope: &[1] }]),
            Down::Trust { envelope: &[1] },
        ),
        (
            Up::Ask(Question { nonce: Nonce::new([1; 16]), trust: 1 }),
            with(&[idle, Down::Trust { envelope: &[1] }]),
            Down::Fresh { envelope: &[1] },
        ),
    ]
}

#[test]
fn exchange_passes_over_what_answers_an_earlier_message() {
    for (up, late, answer) in asked_and_answered() {
        for asynchronous in [false, true] {
            let (mut link, mut port) = (link(), Port::pieces(7));
            port.to_read.extend(late.iter().chain([&answer]).flat_map(framed));
            let answered = if asynchronous {
                let mut port =
                    StreamPort::new(&mut link, &mut port, async |_| core::future::pending().await, 9);
                now(AsyncExchange::exchange(&mut port, &up)).expect("all is there").map(|down| bytes(&down))
            } else {
                let mut port = StreamPort::new(&mut link, &mut port, || 0, 9);
                Exchange::exchange(&mut port, &up).map(|down| bytes(&down))
            };
            assert_eq!(answered, Ok(bytes(&answer)), "{up:?}");
        }
    }
}

#[test]
fn exchange_ends_with_its_time_and_the_next_one_is_another() {
    let up = Up::Report(Report { job: JOB, attempt: 1, seq: 7, stage: Stage::Accepted });
    let (mut link, mut port, mut ms) = (link(), Port::default(), 0);
    let clock = || {
        ms += 1;
        ms
    };
    assert_eq!(
        Exchange::exchange(&mut StreamPort::new(&mut link, &mut port, clock, 100), &up),
        Err(StreamError::NoAnswer)
    );
    assert_eq!(ms, 101, "no sooner and no later");
    let expired = now(async {
        AsyncExchange::exchange(&mut StreamPort::new(&mut link, &mut port, async |_| (), 1), &up)
            .await
            .map(|_| ())
    });
    assert_eq!(expired, Some(Err(StreamError::NoAnswer)));
    port.to_read.extend(framed(&ACK));
    let answered = now(async {
        AsyncExchange::exchange(&mut StreamPort::new(&mut link, &mut port, async |_| (), 1), &up)
            .await
            .map(|down| bytes(&down))
    });
    assert_eq!(answered, Some(Ok(bytes(&ACK))), "what is there counts");
    port.closed = true;
    assert_eq!(
        Exchange::exchange(&mut StreamPort::new(&mut link, &mut port, || 0, 9), &up),
        Err(StreamError::Closed)
    );
}

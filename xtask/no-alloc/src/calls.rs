//! One function per device crate, calling its main entry points.
//!
//! Arguments and results go through `black_box`, so that nothing is computed or dropped while compiling.

#[cfg(any(
    feature = "manifest",
    feature = "verify",
    feature = "hash",
    feature = "documents",
    feature = "boot",
    feature = "boot-moving",
    feature = "proof",
    feature = "agent-machine",
    feature = "agent",
    feature = "self-test",
    feature = "stream"
))]
use core::hint::black_box;

/// Reads an envelope and a manifest from outside bytes, and a message of each direction.
#[cfg(feature = "manifest")]
pub(crate) fn manifest() {
    use ota_manifest::wire::{Down, MAX_REPORT, Up, decode, encode};
    use ota_manifest::{Frame, Manifest};

    let bytes: &[u8] = black_box(&[0; 64]);
    let _ = black_box(Frame::parse(bytes).map(|frame| frame.encoded_len()));
    let _ = black_box(Manifest::decode_unauthenticated(bytes).map(|manifest| manifest.images.iter().count()));
    let _ = black_box(decode::<Down<'_>>(bytes));
    if let Ok(up) = black_box(decode::<Up>(bytes)) {
        let _ = black_box(encode(&up, &mut [0; MAX_REPORT]).map(<[u8]>::len));
    }
}

/// Takes an envelope from bytes to a proven image.
#[cfg(feature = "verify")]
pub(crate) fn verify() {
    use ota_manifest::{Frame, Role, SecurityVersion};
    use ota_verify::{AlgSet, Bootloader, DeviceState, Ed25519Key, Identity, TargetSlot, Trust, TrustedKey};

    let key = Ed25519Key::new(black_box([7; 32]));
    let keys = [TrustedKey::new(Role::Release, &key)];
    let state = DeviceState {
        identity: Identity {
            vendor: [1; 16].into(),
            class: [2; 16].into(),
            hardware: 1,
            device: [3; 16].into(),
        },
        running: None,
        now: None,
        floor: SecurityVersion(0),
        rejected: &[],
        target: TargetSlot {
            link_address: 0x8000,
            usable: 0x10000,
            largest_image: 0x10000,
            erase_page: 4096,
        },
        bootloader: Bootloader { version: 1, algorithms: AlgSet::ED25519 },
    };
    let Ok(frame) = Frame::parse(black_box(&[0; 64])) else { return };
    let Ok(authentic) = Trust::pinned(&keys).authenticate(frame, Role::Release) else { return };
    let Ok(update) = authentic.admit(&state) else { return };
    let mut stream = update.into_stream();
    stream.update(black_box(&[0; 64]));
    let _ = black_box(stream.finish());
}

/// What a key signs, from bytes that come in pieces: what the check of an LMS signature is measured against.
#[cfg(feature = "hash")]
#[inline(never)]
pub(crate) fn hash() -> ota_verify::Tbs {
    use ota_manifest::{Alg, Kind, Role};
    use ota_verify::{Sha256, Tbs};

    let mut hash = black_box(Sha256::new());
    for piece in black_box([[0; 64]; 2]) {
        hash.update(black_box(&piece[..]));
    }
    black_box(Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &hash.finish()))
}

/// Checks an LMS signature.
#[cfg(feature = "lms")]
#[inline(never)]
pub(crate) fn lms() {
    use ota_verify::{LmsKey, VerifyKey};

    let (key, tbs) = (LmsKey::new(black_box([7; 60])), hash());
    let _ = black_box(key.verify(&tbs, black_box(&[0; 64])));
}

/// Adopts a trust document, reads one back, believes a freshness reply and a manifest by its keys, and checks leaves.
#[cfg(feature = "documents")]
#[inline(never)]
pub(crate) fn documents() {
    use ota_manifest::{Frame, Nonce, Role};
    use ota_verify::{AuthenticTrust, ChunkTree, KeyAlgorithm, Lms, LmsKey, Trust, TrustedKey, leaf_hash};

    const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Lms];
    let key = LmsKey::new(black_box([7; 60]));
    let keys = [TrustedKey::new(Role::Root, &key)];
    let pinned = Trust::pinned(&keys);
    let frame = || Frame::parse(black_box(&[0; 64])).ok();
    let believe = |adopted: &AuthenticTrust<'_>| {
        let trust = Trust::documented(adopted);
        let nonce = Nonce::new(black_box([7; 16]));
        let _ = black_box(frame().map(|frame| trust.freshness(frame, nonce)));
        let _ = black_box(frame().map(|frame| trust.authenticate(frame, Role::Release)));
    };
    let _ = frame().map(|frame| pinned.successor(frame, ALGORITHMS).map(|adopted| believe(&adopted)));
    let kept = frame().map(|frame| AuthenticTrust::from_guard_unchained(frame, &pinned, ALGORITHMS));
    let _ = kept.map(|adopted| adopted.map(|adopted| believe(&adopted)));
    let mut tree = ChunkTree::new();
    tree.push(leaf_hash(black_box(0), black_box(&[0; 64])));
    let _ = black_box(tree.root(64));
}

#[cfg(any(
    feature = "boot",
    feature = "boot-moving",
    feature = "proof",
    feature = "agent",
    feature = "agent-async",
    feature = "self-test"
))]
mod board {
    use core::convert::Infallible;

    use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
    use ota_manifest::{ClassId, DeviceId, Digest, Role, VendorId};
    use ota_slots::{BootDescriptor, Geometry, Layout, Partition, Policy, Region, SlotRegion};
    use ota_verify::{AlgSet, Identity, Trust, TrustedKey};

    /// A key whose arithmetic somebody else pays for.
    #[cfg(not(feature = "crypto"))]
    struct NoCrypto;

    #[cfg(not(feature = "crypto"))]
    impl ota_verify::VerifyKey for NoCrypto {
        fn alg(&self) -> ota_manifest::Alg {
            ota_manifest::Alg::Ed25519
        }

        fn key_id(&self) -> ota_manifest::KeyId {
            core::hint::black_box(ota_manifest::KeyId::new([7; 8]))
        }

        fn verify(
            &self,
            tbs: &ota_verify::Tbs,
            signature: &[u8],
        ) -> Result<(), ota_verify::SignatureRefused> {
            core::hint::black_box((tbs, signature));
            core::hint::black_box(Ok(()))
        }
    }

    /// Flash that is not there: reads are opaque to the compiler, writes go nowhere.
    pub(super) struct Flash;

    impl ErrorType for Flash {
        type Error = Infallible;
    }

    impl ReadNorFlash for Flash {
        const READ_SIZE: usize = 1;

        fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
            bytes.fill(core::hint::black_box(offset.to_le_bytes()[0]));
            Ok(())
        }

        fn capacity(&self) -> usize {
            1 << 20
        }
    }

    impl NorFlash for Flash {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 4096;

        fn erase(&mut self, _: u32, _: u32) -> Result<(), Infallible> {
            Ok(())
        }

        fn write(&mut self, _: u32, bytes: &[u8]) -> Result<(), Infallible> {
            core::hint::black_box(bytes);
            Ok(())
        }
    }

    #[cfg(feature = "agent-async")]
    impl embedded_storage_async::nor_flash::ReadNorFlash for Flash {
        const READ_SIZE: usize = 1;

        async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
            ReadNorFlash::read(self, offset, bytes)
        }

        fn capacity(&self) -> usize {
            ReadNorFlash::capacity(self)
        }
    }

    #[cfg(feature = "agent-async")]
    impl embedded_storage_async::nor_flash::NorFlash for Flash {
        const WRITE_SIZE: usize = 4;
        const ERASE_SIZE: usize = 4096;

        async fn erase(&mut self, from: u32, to: u32) -> Result<(), Infallible> {
            NorFlash::erase(self, from, to)
        }

        async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
            NorFlash::write(self, offset, bytes)
        }
    }

    const FLASH: Geometry = Geometry::NRF52840;
    pub(super) const LAYOUT: Layout = Layout::constant(Partition::direct_xip(
        Region::new(FLASH, 0x8000, 0x2000),
        SlotRegion::new(Region::new(FLASH, 0xA000, 0x7_A000), 0xA000),
        SlotRegion::new(Region::new(FLASH, 0x8_4000, 0x7_A000), 0x8_4000),
    ));
    #[cfg(feature = "boot-moving")]
    pub(super) const SWAPPED: Layout = Layout::constant(Partition::swap_offset(
        Region::new(FLASH, 0x8000, 0x2000),
        SlotRegion::new(Region::new(FLASH, 0xC000, 0x7_8000), 0xC000),
        Region::new(FLASH, 0x8_4000, 0x7_A000),
        Region::new(FLASH, 0xA000, 0x2000),
    ));
    #[cfg(feature = "crypto")]
    static KEY: ota_verify::Ed25519Key = ota_verify::Ed25519Key::new([7; 32]);
    #[cfg(not(feature = "crypto"))]
    static KEY: NoCrypto = NoCrypto;
    static KEYS: [TrustedKey<'static>; 1] = [TrustedKey::new(Role::Release, &KEY)];

    pub(super) static POLICY: Policy<'static> = Policy {
        trust: Trust::pinned(&KEYS),
        identity: Identity {
            vendor: VendorId::new([1; 16]),
            class: ClassId::new([2; 16]),
            hardware: 1,
            device: DeviceId::new([3; 16]),
        },
        // A build script computes the digest.
        descriptor: &BootDescriptor::new(1, AlgSet::ED25519, &LAYOUT, Digest::new([9; 32])),
    };
}

/// Proves what is in a slot, and nothing else: what a boot decision is measured against.
#[cfg(feature = "proof")]
#[inline(never)]
pub(crate) fn proof(buffer: &mut [u8; ota_slots::WORK_BUFFER]) {
    use board::{Flash, LAYOUT, POLICY};
    use ota_manifest::SecurityVersion;
    use ota_slots::{ProveSlot, Site, SlotId, run_blocking};

    let site = black_box(Site::Slot(SlotId::A));
    let prove = ProveSlot::new(&LAYOUT, &POLICY, site, SecurityVersion(black_box(0)));
    let _ = black_box(run_blocking(prove, &mut Flash, &LAYOUT, buffer, || ()));
}

/// Decides a boot.
#[cfg(feature = "boot")]
#[inline(never)]
pub(crate) fn boot(buffer: &mut [u8; ota_slots::WORK_BUFFER]) {
    use board::{Flash, LAYOUT, POLICY};
    use ota_manifest::ResetCause;
    use ota_slots::{Boot, run_blocking};

    let boot = Boot::new(&LAYOUT, &POLICY, black_box(ResetCause::PowerOn));
    let _ = black_box(run_blocking(boot, &mut Flash, &LAYOUT, buffer, || ()));
}

/// Decides a boot, and moves images.
#[cfg(feature = "boot-moving")]
#[inline(never)]
pub(crate) fn boot_moving(buffer: &mut [u8; ota_slots::WORK_BUFFER]) {
    use board::{Flash, POLICY, SWAPPED};
    use ota_manifest::ResetCause;
    use ota_slots::{Boot, run_blocking};

    let boot = Boot::moving(&SWAPPED, &POLICY, black_box(ResetCause::PowerOn));
    let _ = black_box(run_blocking(boot, &mut Flash, &SWAPPED, buffer, || ()));
}

/// Turns the agent's loop without slots: the machine, and with the feature `messages` their bytes.
#[cfg(feature = "agent-machine")]
pub(crate) fn agent_machine() {
    use core::sync::atomic::AtomicU8;

    use ota_agent::{Agent, BootReport, Buffers, Config, Gates, Input, Output, SlotsAnswer};

    // The only memory of the program that is zeroed before it runs, so that its length can be read from the outside.
    static STATE: [AtomicU8; size_of::<Agent<'static>>()] = [const { AtomicU8::new(0) }; _];
    static REPORT: BootReport = BootReport::confirmed();
    black_box(&STATE);

    let buffers = Buffers { envelope: black_box(&mut []), window: black_box(&mut []) };
    let mut agent = Agent::new(black_box(Config::default()), *black_box(&REPORT), black_box(1), buffers, 0);
    agent.handle_input(0, Input::Gates(black_box(Gates::ALL)));
    for now in 0..black_box(100) {
        match agent.poll_output(now) {
            Output::Send(up) => {
                if let Some(down) = answer(&up) {
                    agent.handle_input(now, Input::Message(down));
                }
            }
            Output::Slots(work) => {
                black_box(work);
                let answer = black_box::<fn() -> SlotsAnswer>(|| SlotsAnswer::Done)();
                agent.handle_input(now, Input::Slots(answer));
            }
            Output::SelfTest => agent.handle_input(now, Input::SelfTest(black_box(true).into())),
            Output::Draw => agent.handle_input(now, Input::Ask(black_box(ota_manifest::Nonce::new([7; 16])))),
            Output::Event(event) => {
                black_box(event);
            }
            Output::Reset => return,
            Output::Wait if black_box(true) => agent.handle_timeout(black_box(now)),
            Output::Wait => agent.handle_input(now, Input::Doorbell),
        }
    }
}

/// Writes a message of the device and reads one of the server.
#[cfg(all(feature = "agent-machine", feature = "messages"))]
fn answer(up: &ota_manifest::wire::Up) -> Option<ota_manifest::wire::Down<'static>> {
    use ota_manifest::wire::{decode, encode};

    let _ = black_box(encode(up, black_box(&mut [])).map(<[u8]>::len));
    decode(black_box(&[])).ok()
}

/// The same for who has no bytes to look at.
#[cfg(all(feature = "agent-machine", not(feature = "messages")))]
fn answer(up: &ota_manifest::wire::Up) -> Option<ota_manifest::wire::Down<'static>> {
    black_box(up);
    black_box(None)
}

/// Turns the agent's loop, slot work included.
#[cfg(feature = "agent")]
pub(crate) fn agent() {
    use board::{Flash, LAYOUT, POLICY};
    use ota_agent::{Agent, Bench, BootReport, Buffers, Config, Input, Output, SlotDriver};
    use ota_manifest::wire::{Down, MAX_REPORT, decode, encode};
    use ota_slots::{SlotId, WORK_BUFFER};

    let (mut buffer, mut envelope, mut window) = ([0; WORK_BUFFER], [0; 1536], [0; 4096]);
    let bench = Bench { flash: &mut Flash, buffer: &mut buffer, feed: &mut || () };
    let Ok((mut slots, report)) = SlotDriver::open(&LAYOUT, &POLICY, black_box(SlotId::A), bench) else {
        return;
    };
    let report = black_box(Some(report)).unwrap_or(BootReport::confirmed());
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut agent = Agent::new(Config::default(), report, black_box(1), buffers, 0);
    for now in 0..black_box(100) {
        match agent.poll_output(now) {
            Output::Send(up) => {
                let _ = black_box(encode(&up, &mut [0; MAX_REPORT]).map(<[u8]>::len));
                if let Ok(down) = decode::<Down<'_>>(black_box(&[0; 64])) {
                    agent.handle_input(now, Input::Message(down));
                }
            }
            Output::Slots(work) => {
                let bench = Bench { flash: &mut Flash, buffer: &mut buffer, feed: &mut || () };
                let answer = slots.perform(work, bench);
                agent.handle_input(now, Input::Slots(answer));
            }
            Output::SelfTest => agent.handle_input(now, Input::SelfTest(black_box(true).into())),
            Output::Draw => agent.handle_input(now, Input::Ask(black_box(ota_manifest::Nonce::new([7; 16])))),
            Output::Event(event) => {
                black_box(event);
            }
            Output::Reset => return,
            Output::Wait => agent.handle_timeout(black_box(now)),
        }
    }
}

/// Opens slots on asynchronous flash and does work on them.
#[cfg(feature = "agent-async")]
#[inline(never)]
pub(crate) fn agent_async() {
    use board::{Flash, LAYOUT, POLICY};
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use ota_agent::{Bench, SlotDriver, SlotWork};
    use ota_slots::{SlotId, WORK_BUFFER};

    let mut buffer = [0; WORK_BUFFER];
    let mut context = Context::from_waker(Waker::noop());
    let bench = Bench { flash: &mut Flash, buffer: &mut buffer, feed: &mut || () };
    let open = SlotDriver::open_async(&LAYOUT, &POLICY, black_box(SlotId::A), bench);
    let Poll::Ready(Ok((mut slots, report))) = pin!(open).poll(&mut context) else { return };
    black_box(report);
    while let Some(work) = black_box::<Option<SlotWork<'_>>>(None) {
        let bench = Bench { flash: &mut Flash, buffer: &mut buffer, feed: &mut || () };
        let answer = pin!(slots.perform_async(work, bench)).poll(&mut context);
        black_box(answer.is_ready());
    }
}

/// Buses, pins and cells that are not there.
#[cfg(feature = "self-test")]
mod bench {
    use core::convert::Infallible;
    use core::hint::black_box;

    use embedded_hal::digital::{self, InputPin, OutputPin};
    use embedded_hal::i2c::{self, I2c};
    use embedded_hal::spi::{self, SpiDevice};

    pub(super) struct Bus;

    impl i2c::ErrorType for Bus {
        type Error = i2c::ErrorKind;
    }

    impl I2c for Bus {
        fn transaction(&mut self, _: u8, _: &mut [i2c::Operation<'_>]) -> Result<(), i2c::ErrorKind> {
            black_box(Err(i2c::ErrorKind::Bus))
        }

        fn write_read(&mut self, _: u8, register: &[u8], bytes: &mut [u8]) -> Result<(), i2c::ErrorKind> {
            black_box((register, bytes));
            black_box(Ok(()))
        }
    }

    impl spi::ErrorType for Bus {
        type Error = spi::ErrorKind;
    }

    impl SpiDevice for Bus {
        fn transaction(&mut self, operations: &mut [spi::Operation<'_, u8>]) -> Result<(), spi::ErrorKind> {
            black_box(operations);
            black_box(Ok(()))
        }
    }

    pub(super) struct Pin;

    impl digital::ErrorType for Pin {
        type Error = Infallible;
    }

    impl OutputPin for Pin {
        fn set_low(&mut self) -> Result<(), Infallible> {
            black_box(Ok(()))
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            black_box(Ok(()))
        }
    }

    impl InputPin for Pin {
        fn is_high(&mut self) -> Result<bool, Infallible> {
            Ok(black_box(true))
        }

        fn is_low(&mut self) -> Result<bool, Infallible> {
            Ok(black_box(true))
        }
    }
}

/// Runs every probe to a verdict.
#[cfg(feature = "self-test")]
#[inline(never)]
pub(crate) fn self_test() -> Option<()> {
    use bench::{Bus, Pin};
    use board::{Flash, POLICY};
    use embedded_hal::digital::PinState;
    use ota_agent::self_test::{
        Check, ClockRatio, Connectivity, FlashDigest, GpioLoopback, I2cIdentity, March, MarchPreserving,
        SelfTest, SpiIdentity, StackWatermark, Turn,
    };
    use ota_manifest::{Digest, Frame, Nonce};

    let (mut destroyed, mut kept, mut scratch) = (black_box([0; 64]), black_box([7; 64]), [0; 16]);
    let (painted, mut slice) = (black_box([7; 64]), [0; 64]);
    let counters = || (black_box(7), black_box(7));
    let mut sensor = I2cIdentity::new("sensor", Bus, 0x76, [0xD0], [0x60]);
    let mut staging = SpiIdentity::jedec("staging", Bus, [0xC2, 0x28, 0x17]);
    let mut loopback = GpioLoopback::new("loopback", Pin, Pin, PinState::Low, black_box(1));
    let mut clock = ClockRatio::new(counters, black_box((64_000_000, 32_768)), 1000, black_box(200)).ok()?;
    let expected = Digest::new(black_box([7; 32]));
    let mut flash = FlashDigest::new(Flash, black_box(0..1000), expected, &mut slice).ok()?;
    let mut march = March::new(&mut destroyed[..], black_box(16)).ok()?;
    let mut preserving = MarchPreserving::new(&mut kept[..], &mut scratch[..]).ok()?;
    let mut server = Connectivity::new(|| Nonce::new(black_box([7; 16])), 5_000, 60_000);
    let mut stack = StackWatermark::new(&painted[..], 7, black_box(16));
    let mut checks = [
        Check::required(&mut sensor),
        Check::required(&mut staging),
        Check::required(&mut loopback),
        Check::optional(&mut clock),
        Check::required(&mut flash),
        Check::required(&mut march),
        Check::required(&mut preserving),
        Check::required(&mut server),
        Check::optional(&mut stack),
    ];
    let mut test = SelfTest::new(&mut checks).ok()?;
    for now in 0..black_box(100_000) {
        let mut watchdog = || {
            black_box(0);
        };
        match test.poll_feeding(now, &mut watchdog) {
            Turn::Ask(nonce) => {
                let frame = Frame::parse(black_box(&[0; 64])).ok()?;
                let fresh = POLICY.trust.freshness(frame, nonce).ok()?;
                black_box(test.answer(now, &fresh).is_progress());
            }
            Turn::Done(verdict) => {
                black_box((verdict.input().is_some(), test.summary()));
                return Some(());
            }
            turn => {
                let _ = black_box(turn);
            }
        }
    }
    None
}

/// A byte stream whose contents nobody can foresee, for both loops.
#[cfg(feature = "stream")]
mod uart {
    use core::convert::Infallible;

    use super::black_box;

    pub(super) struct Uart;

    impl embedded_io::ErrorType for Uart {
        type Error = Infallible;
    }

    impl embedded_io::Read for Uart {
        fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
            black_box(&mut *into);
            Ok(black_box(into.len()))
        }
    }

    impl embedded_io::Write for Uart {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            black_box(bytes);
            Ok(black_box(bytes.len()))
        }

        fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }

    impl embedded_io_async::Read for Uart {
        async fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
            embedded_io::Read::read(self, into)
        }
    }

    impl embedded_io_async::Write for Uart {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
            embedded_io::Write::write(self, bytes)
        }

        async fn flush(&mut self) -> Result<(), Infallible> {
            Ok(())
        }
    }
}

/// Moves messages over a byte stream, in both loops.
#[cfg(feature = "stream")]
#[inline(never)]
pub(crate) fn stream() {
    use core::pin::pin;
    use core::task::{Context, Waker};
    use ota_agent::{AsyncExchange, Buffers, Exchange, ObjectRanges, StreamLink, StreamPort};
    use ota_manifest::JobId;
    use ota_manifest::wire::{Down, Fetch, Object, Up};
    use uart::Uart;

    let (mut envelope, mut window) = ([0; 1536], [0; 4096]);
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut memory = [0; StreamLink::memory(4096, 1536)];
    let Ok(mut link) = StreamLink::new(&mut memory, &buffers) else { return };
    let fetch = Fetch { job: JobId::new([1; 16]), image: 0, object: Object::Payload, first: 0, count: 4 };
    let up = black_box(Up::Fetch(fetch));
    let _ = black_box(link.send_blocking(&mut Uart, &up));
    let _ = black_box(link.receive_blocking(&mut Uart).map(|down| down.is_some()));
    let mut context = Context::from_waker(Waker::noop());
    let _ = black_box(pin!(link.send_async(&mut Uart, &up)).poll(&mut context).is_ready());
    let _ = black_box(pin!(link.receive_async(&mut Uart)).poll(&mut context).is_ready());
    let mut port = StreamPort::new(&mut link, Uart, || black_box(0), 9);
    let _ = black_box(Exchange::exchange(&mut port, &up).is_ok());
    let mut port = StreamPort::new(&mut link, Uart, async |ms| _ = black_box(ms), 9);
    let _ = black_box(pin!(AsyncExchange::exchange(&mut port, &up)).poll(&mut context).is_ready());
    let mut ranges = ObjectRanges::new();
    ranges.hear(&Down::Offer { job: fetch.job, attempt: 1, envelope: black_box(&[]) });
    let _ = black_box(ranges.of(&black_box(fetch)));
}

//! The update loop of a device with asynchronous drivers, as an embassy task.

use core::convert::Infallible;

use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Instant, Timer};
use embedded_hal::i2c::I2c;
use embedded_io_async::{Read, Write};
use embedded_storage_async::nor_flash::NorFlash;
use ota_agent::self_test::{Check, Connectivity, I2cIdentity, SelfTest};
use ota_agent::{Agent, Bench, Buffers, Config, Input, Output, SlotDriver, SlotsAnswer, StreamLink};
use ota_manifest::{Nonce, Version};
use ota_slots::{Layout, OpenError, Policy, SlotId, WORK_BUFFER};

use crate::board::{Board, ENVELOPE, WINDOW, tick};
use crate::chip; // your drivers

/// `Doorbell`, and `Gates` that have changed, from any task.
pub static NEWS: Channel<CriticalSectionRawMutex, Input<'static>, 4> = Channel::new();

/// Updates as a task of their own. Without them the firmware runs on.
#[embassy_executor::task]
pub async fn updates(
    drivers: (chip::Board, chip::Flash, chip::Uart),
    bus: chip::Bus,
    slots: (&'static Layout, &'static Policy<'static>, SlotId),
) {
    let Err(_why) = run(drivers, bus, slots).await;
}

const FEED: u64 = 1_000; // the watchdog wants to be fed at least so often, ms

/// Updates the firmware that runs from slot `running`. If that cannot be done, it may run on.
pub async fn run(
    (mut board, mut flash, mut uart): (impl Board, impl NorFlash, impl Read + Write),
    i2c: impl I2c,
    (layout, policy, running): (&Layout, &Policy<'_>, SlotId),
) -> Result<Infallible, OpenError> {
    let (mut work, mut envelope, mut window) = ([0; WORK_BUFFER], [0; ENVELOPE], [0; WINDOW]);
    let mut memory = [0; StreamLink::memory(WINDOW, ENVELOPE)];
    let bench = Bench { flash: &mut flash, buffer: &mut work, feed: &mut || board.feed() };
    let (mut slots, report) = SlotDriver::open_async(layout, policy, running, bench).await?;
    let asks = report.asks;
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut link = StreamLink::new(&mut memory, &buffers).expect("the memory is as long as it wants");
    let config = Config { version: Version::new(1, 0, 0), ..Config::default() };
    let seed = u64::from_le_bytes(board.random());
    let mut agent = Agent::new(config, report, seed, buffers, Instant::now().as_millis());

    // On trial: the sensor must be there, and the server's freshness key must answer a question of this boot's.
    let question = Nonce::new(board.random());
    let mut sensor = I2cIdentity::new("sensor", i2c, 0x76, [0xD0], [0x60]);
    let mut server = Connectivity::new(|| question, 2_000, 600_000);
    let mut checks = [Check::required(&mut sensor), Check::required(&mut server)];
    // Where no freshness key is trusted, no answer would be believed.
    let checks = if asks { &mut checks[..] } else { &mut checks[..1] };
    let mut test = SelfTest::new(checks).expect("one of them is required");
    let mut testing = None;
    loop {
        let now = Instant::now().as_millis();
        testing = tick(now, testing, &mut test, &mut board, &mut agent);
        match agent.poll_output(now) {
            Output::Send(up) => match link.send_async(&mut uart, &up).await {
                Ok(()) => {}
                Err(_) => agent.handle_input(now, Input::LinkLost),
            },
            Output::Slots(job) => {
                let bench = Bench { flash: &mut flash, buffer: &mut work, feed: &mut || board.feed() };
                let answer = slots.perform_async(job, bench).await;
                if let (Some(_), SlotsAnswer::Fresh(fresh)) = (testing, &answer) {
                    let _ = test.answer(now, fresh);
                }
                agent.handle_input(Instant::now().as_millis(), Input::Slots(answer));
            }
            Output::SelfTest => testing = Some(now),
            Output::Draw => agent.handle_input(now, Input::Ask(Nonce::new(board.random()))),
            Output::Event(event) => board.log(event),
            Output::Reset => board.reset(),
            Output::Wait => {
                let due = [agent.poll_timeout(), testing].into_iter().flatten().fold(now + FEED, u64::min);
                wait(&mut agent, &mut link, &mut uart, due).await;
            }
        }
    }
}

/// Takes what comes next: a message, news, or the time when something is `due`, ms.
async fn wait(agent: &mut Agent<'_>, link: &mut StreamLink<'_>, uart: &mut impl Read, due: u64) {
    let due = Timer::at(Instant::from_millis(due));
    let woken = select3(link.receive_async(uart), NEWS.receive(), due).await;
    let now = Instant::now().as_millis();
    match woken {
        Either3::First(Ok(Some(down))) => agent.handle_input(now, Input::Message(down)),
        Either3::First(Ok(None)) | Either3::Third(()) => {}
        Either3::First(Err(_)) => {
            agent.handle_input(now, Input::LinkLost);
            link.reset();
            Timer::after_millis(100).await;
        }
        Either3::Second(input) => agent.handle_input(now, input),
    }
}

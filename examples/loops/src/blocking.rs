//! The update loop of a device with blocking drivers.

use core::convert::Infallible;

use embedded_hal::i2c::I2c;
use embedded_io::{Read, ReadReady, Write};
use embedded_storage::nor_flash::NorFlash;
use ota_agent::self_test::{Check, Connectivity, I2cIdentity, SelfTest};
use ota_agent::{Agent, Bench, Buffers, Config, Input, Output, SlotDriver, SlotsAnswer, StreamLink};
use ota_manifest::{Nonce, Version};
use ota_slots::{Layout, OpenError, Policy, SlotId, WORK_BUFFER};

use crate::board::{Board, ENVELOPE, WINDOW, tick};

/// What needs no driver where there is an executor.
pub trait BareBoard: Board {
    fn now(&mut self) -> u64; // ms since the reset
    fn news(&mut self) -> Option<Input<'static>>; // Doorbell, or Gates that have changed
    fn idle(&mut self); // until an interrupt, a millisecond at most
}

/// Updates the firmware that runs from slot `running`. If that cannot be done, it may run on.
pub fn run(
    (mut board, mut flash, mut uart): (impl BareBoard, impl NorFlash, impl Read + ReadReady + Write),
    i2c: impl I2c,
    (layout, policy, running): (&Layout, &Policy<'_>, SlotId),
) -> Result<Infallible, OpenError> {
    let (mut work, mut envelope, mut window) = ([0; WORK_BUFFER], [0; ENVELOPE], [0; WINDOW]);
    let mut memory = [0; StreamLink::memory(WINDOW, ENVELOPE)];
    let bench = Bench { flash: &mut flash, buffer: &mut work, feed: &mut || board.feed() };
    let (mut slots, report) = SlotDriver::open(layout, policy, running, bench)?;
    let asks = report.asks;
    let buffers = Buffers { envelope: &mut envelope, window: &mut window };
    let mut link = StreamLink::new(&mut memory, &buffers).expect("the memory is as long as it wants");
    let config = Config { version: Version::new(1, 0, 0), ..Config::default() };
    let mut agent = Agent::new(config, report, u64::from_le_bytes(board.random()), buffers, board.now());

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
        let now = board.now();
        testing = tick(now, testing, &mut test, &mut board, &mut agent);
        board.news().into_iter().for_each(|input| agent.handle_input(now, input));
        match agent.poll_output(now) {
            Output::Send(up) => match link.send_blocking(&mut uart, &up) {
                Ok(()) => {}
                Err(_) => agent.handle_input(now, Input::LinkLost),
            },
            Output::Slots(job) => {
                let bench = Bench { flash: &mut flash, buffer: &mut work, feed: &mut || board.feed() };
                let answer = slots.perform(job, bench);
                if let (Some(_), SlotsAnswer::Fresh(fresh)) = (testing, &answer) {
                    let _ = test.answer(now, fresh);
                }
                agent.handle_input(board.now(), Input::Slots(answer));
            }
            Output::SelfTest => testing = Some(now),
            Output::Draw => agent.handle_input(now, Input::Ask(Nonce::new(board.random()))),
            Output::Event(event) => board.log(event),
            Output::Reset => board.reset(),
            Output::Wait => match link.poll_blocking(&mut uart) {
                Ok(Some(down)) => agent.handle_input(now, Input::Message(down)),
                Ok(None) => board.idle(),
                Err(_) => {
                    link.reset();
                    agent.handle_input(now, Input::LinkLost);
                    board.idle();
                }
            },
        }
    }
}

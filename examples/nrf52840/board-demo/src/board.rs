//! The emulated board at its gateway, in virtual time.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use emulator::{HZ, Machine, ResetCause, Stop};
use gateway::{Board as Station, Carrier, Event, Gateway, Memory};
use ota_slots::SlotId;
use provision::slot_at;

/// The lights of the kit, LED 1 to 4. They light when low.
const LIGHTS: [u8; 4] = [13, 14, 15, 16];
/// Bits of a byte on the line, with start and stop.
const BITS: u64 = 10;
/// A board that polls is silent for ten seconds, and there is nothing wrong with its line.
const PATIENCE_MS: u64 = 120_000;
/// The line is idle after so much silence, ms; from then on a second of the board takes at least [`IDLE`]. The server's clock is
/// the real one: without that, the board would ask hundreds of times before a campaign gets on.
const QUIET_MS: u64 = 1_000;
const IDLE: Duration = Duration::from_millis(3);

/// What happens at a board.
pub(crate) enum Happening {
    /// It was reset.
    Reset(ResetCause),
    /// The bootloader has handed over to an image.
    Starts(SlotId),
    /// A message went over its line, or did not.
    Line(Event),
}

/// A board with power.
pub(crate) struct Board<'m> {
    machine: Machine,
    carrier: Carrier<'m>,
    /// Whose code runs; `None` while the bootloader's does.
    running: Option<SlotId>,
    lit: [bool; LIGHTS.len()],
    /// When there was something on its line last, ms.
    heard: u64,
}

impl<'m> Board<'m> {
    /// Connects a board that has `token` to the server, and switches it on. `baud`: the line's speed, if not the firmware's.
    pub(crate) fn power_on(
        mut machine: Machine,
        server: &str,
        token: &str,
        baud: Option<u32>,
        memory: &'m mut Memory,
    ) -> Result<Self> {
        machine.set_byte_time(0, baud.map(|baud| HZ * BITS / u64::from(baud)));
        let gateway = Gateway::new(server, None)?.with_patience_ms(PATIENCE_MS);
        let carrier = gateway.carrier(&Station::new("board", token), memory)?;
        machine.power_on();
        Ok(Self { machine, carrier, running: None, lit: Default::default(), heard: 0 })
    }

    /// Milliseconds of its time.
    pub(crate) const fn ms(&self) -> u64 {
        self.machine.time() / (HZ / 1000)
    }

    /// Resets since it was switched on.
    pub(crate) const fn resets(&self) -> u64 {
        self.machine.resets().saturating_sub(1)
    }

    /// Whose code runs.
    pub(crate) const fn running(&self) -> Option<SlotId> {
        self.running
    }

    /// The lights that were on at any time since this was asked last: a flash is seen as well.
    pub(crate) fn lights(&mut self) -> [bool; LIGHTS.len()] {
        std::mem::take(&mut self.lit)
    }

    /// A millisecond, and what happened in it. The server's answers take none of the board's time.
    pub(crate) fn step(&mut self) -> Result<Vec<Happening>> {
        let mut happened = Vec::new();
        match self.machine.run_millis(1) {
            Stop::Deadline => {}
            Stop::Reset(cause) => {
                self.running = None;
                happened.push(Happening::Reset(cause));
            }
            stop => bail!("the board ended by {stop:?}; last fault {:?}", self.machine.last_fault()),
        }
        if self.running.is_none() {
            self.running = slot_at(self.machine.core().pc());
            happened.extend(self.running.map(Happening::Starts));
        }
        for (lit, pin) in self.lit.iter_mut().zip(LIGHTS) {
            *lit |= self.machine.pin(pin) == Some(false);
        }
        self.exchange(&mut happened);
        Ok(happened)
    }

    fn exchange(&mut self, happened: &mut Vec<Happening>) {
        let now = self.ms();
        let Self { machine, carrier, .. } = self;
        let sent = machine.sent(0);
        let said = &mut |line: gateway::Line| happened.push(Happening::Line(line.event));
        carrier.carry(now, &sent, &mut |answer| machine.send(0, answer), said);
        if !sent.is_empty() || machine.line(0).0 > 0 {
            self.heard = now;
        } else if (now - self.heard).is_multiple_of(QUIET_MS) {
            thread::sleep(IDLE);
        }
    }
}

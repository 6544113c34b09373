//! What all peripherals have in common: tasks, events, interrupts and shortcuts (product specification, "Peripheral
//! interface").

use super::misuse::Misuse;
use super::ram::Ram;
use super::reset::ResetCause;

/// Cycles per second of the core's clock, HFCLK.
pub const HZ: u64 = 64_000_000;

/// The cycles that `micros` microseconds take.
pub(super) const fn micros(micros: u64) -> u64 {
    micros * (HZ / 1_000_000)
}

/// Offset of the first event register.
pub(super) const EVENTS: u32 = 0x100;

/// A bit for each event register.
pub(super) const fn mask(mut events: &[u32]) -> u32 {
    let mut mask = 0;
    while let Some((event, rest)) = events.split_first() {
        mask |= Signals::bit(*event);
        events = rest;
    }
    mask
}

/// A peripheral with registers from `offset` 0 to 0xFFF. Events, INTEN, INTENSET and INTENCLR are kept for it.
pub(super) trait Peripheral {
    /// Reads a register that is neither a task nor an event. Nothing means that it is not modelled.
    fn read(&mut self, offset: u32, now: u64) -> Option<u32>;
    /// Writes one. Nothing means that it is not modelled.
    fn write(&mut self, offset: u32, value: u32, context: &mut Context<'_>) -> Option<()>;
    /// Does what a task register asks for. Nothing means that it is not modelled.
    fn task(&mut self, offset: u32, context: &mut Context<'_>) -> Option<()>;
    /// The event registers there are, a bit each.
    fn events(&self) -> u32;
    /// The cycle at which something will happen by itself; `enabled` are its enabled interrupts.
    fn due(&self, _enabled: u32) -> Option<u64> {
        None
    }
    /// Does what is due.
    fn advance(&mut self, _context: &mut Context<'_>) {}
}

/// What a peripheral may touch beside itself.
pub(super) struct Context<'c> {
    /// Cycles since power-on.
    pub(super) now: u64,
    /// Interrupts enabled by INTENSET.
    pub(super) enabled: u32,
    /// For EasyDMA, which reaches RAM alone.
    pub(super) ram: &'c mut Ram,
    /// The events raised, by their offsets.
    pub(super) raised: &'c mut Vec<u32>,
    /// What ends the run after this cycle.
    pub(super) ending: &'c mut Ending,
}

/// What a peripheral may end a run with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ending {
    pub(crate) reset: Option<ResetCause>,
    pub(crate) misuse: Option<Misuse>,
    pub(crate) power_lost: bool,
}

impl Ending {
    pub(super) const fn is_none(&self) -> bool {
        self.reset.is_none() && self.misuse.is_none() && !self.power_lost
    }
}

impl Context<'_> {
    /// Raises the event whose register is at `offset`.
    pub(super) fn raise(&mut self, offset: u32) {
        self.raised.push(offset);
    }

    /// Resets the chip after this cycle.
    pub(super) const fn reset(&mut self, cause: ResetCause) {
        self.ending.reset = Some(cause);
    }

    /// EasyDMA was given a buffer that is not in RAM.
    pub(super) const fn misuse_dma(&mut self, pointer: u32) {
        self.ending.misuse = Some(Misuse::DmaOutsideRam(pointer));
    }
}

/// Event registers and enabled interrupts of one peripheral.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signals {
    /// A bit for each event register that reads one.
    pub(super) events: u32,
    pub(super) enabled: u32,
}

impl Signals {
    /// Whether the interrupt line is high.
    pub(super) const fn line(self) -> bool {
        self.events & self.enabled != 0
    }

    pub(super) const fn bit(offset: u32) -> u32 {
        1 << (((offset - EVENTS) / 4) & 31)
    }
}

/// What a peripheral's unit test needs around it.
#[cfg(test)]
pub(super) mod bench {
    use super::*;

    pub(in super::super) struct Bench {
        pub(in super::super) now: u64,
        pub(in super::super) enabled: u32,
        pub(in super::super) ram: Ram,
        pub(in super::super) reset: Option<ResetCause>,
        pub(in super::super) misuse: Option<Misuse>,
    }

    impl Bench {
        pub(in super::super) fn new() -> Self {
            Self { now: 0, enabled: 0, ram: Ram::default(), reset: None, misuse: None }
        }

        fn with<P: Peripheral>(
            &mut self,
            peripheral: &mut P,
            act: impl FnOnce(&mut P, &mut Context<'_>),
        ) -> Vec<u32> {
            let (mut raised, mut ending) = (Vec::new(), Ending::default());
            let mut context = Context {
                now: self.now,
                enabled: self.enabled,
                ram: &mut self.ram,
                raised: &mut raised,
                ending: &mut ending,
            };
            act(peripheral, &mut context);
            (self.reset, self.misuse) = (ending.reset, ending.misuse);
            raised
        }

        pub(in super::super) fn write(&mut self, peripheral: &mut impl Peripheral, offset: u32, value: u32) {
            self.with(peripheral, |peripheral, context| {
                assert_eq!(peripheral.write(offset, value, context), Some(()), "{offset:#x} is not modelled");
            });
        }

        /// The events it raises.
        pub(in super::super) fn task(&mut self, peripheral: &mut impl Peripheral, offset: u32) -> Vec<u32> {
            self.with(peripheral, |peripheral, context| {
                assert_eq!(peripheral.task(offset, context), Some(()), "{offset:#x} is not modelled");
            })
        }

        /// Lets time pass to where something is due, and returns the events that raises.
        pub(in super::super) fn next(&mut self, peripheral: &mut impl Peripheral) -> Vec<u32> {
            self.now = peripheral.due(self.enabled).expect("something is due");
            self.with(peripheral, |peripheral, context| peripheral.advance(context))
        }
    }
}

//! The loop: agent, slots, link and product, from the start of the firmware to the next reset.

use core::fmt::Display;
use std::boxed::Box;
use std::time::{Duration, Instant};
use std::vec;

use embedded_storage::nor_flash::NorFlash;
use ota_manifest::Nonce;
use ota_manifest::wire::Up;
use ota_slots::{Layout, OpenError, Policy, SlotId};

use super::{Doorbell, Line, Product, Trial};
use crate::{Agent, Bench, Buffers, Config, Gates, Input, Output, SlotDriver, SlotsAnswer};

/// Bytes to work on slots in: as many as the longest envelope that a layout can keep.
const WORK: usize = 32 * 1024;

/// Runs updates on a device with the standard library.
#[derive(Debug)]
pub struct Updater<'d, F> {
    /// How the flash is divided.
    pub layout: &'d Layout,
    /// What images are held against.
    pub policy: &'d Policy<'d>,
    /// The slot that the bootloader has handed over to.
    pub slot: SlotId,
    /// The flash.
    pub flash: &'d mut F,
    /// How the agent behaves.
    pub config: Config,
    /// How much is fetched at once, bytes: one block (a chunk or an erase page, whichever is larger) at least, better four.
    pub window: usize,
    /// Random, so that a fleet does not ask in step.
    pub seed: u64,
    /// Longest sleep before the product is asked again whether to go on, what its gates are, and what its self-test says.
    pub nap: Duration,
}

/// Why the loop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The device is to be reset, so that its bootloader can do its part.
    Reset,
    /// The product does not want to go on.
    Stopped,
}

impl<F: NorFlash> Updater<'_, F> {
    /// Updates the device until a reset is due. Time begins now, so call it soon after the start: a trial is counted from here.
    ///
    /// # Errors
    /// [`OpenError`]: the firmware may run on, but it cannot update. After [`OpenError::NotRunning`] a reset puts it right.
    pub fn run<L, P>(self, link: &mut L, product: &mut P) -> Result<Ended, OpenError>
    where
        L: Doorbell<Error: Display> + ?Sized,
        P: Product + ?Sized,
    {
        let mut buffer = Box::new([0; WORK]);
        let feed = &mut || product.feed();
        let bench = Bench { flash: &mut *self.flash, buffer: &mut buffer, feed };
        let (slots, report) = SlotDriver::open(self.layout, self.policy, self.slot, bench)?;
        let (mut envelope, mut window) = (vec![0; self.layout.envelope_limit()], vec![0; self.window]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut session = Session {
            agent: Agent::new(self.config, report, self.seed, buffers, 0),
            slots,
            flash: self.flash,
            buffer,
            link,
            product,
            // Without any it would be a busy loop.
            nap: self.nap.max(Duration::from_millis(1)),
            started: Instant::now(),
            open: Gates::NONE,
            testing: false,
        };
        loop {
            if let Some(ended) = session.step() {
                return Ok(ended);
            }
        }
    }
}

/// What is there from a start to the next.
struct Session<'s, F, L: ?Sized, P: ?Sized> {
    agent: Agent<'s>,
    slots: SlotDriver<'s>,
    flash: &'s mut F,
    buffer: Box<[u8; WORK]>,
    link: &'s mut L,
    product: &'s mut P,
    nap: Duration,
    started: Instant,
    /// The gates that the agent knows to be open.
    open: Gates,
    /// The agent waits for a verdict.
    testing: bool,
}

impl<F, L, P> Session<'_, F, L, P>
where
    F: NorFlash,
    L: Doorbell<Error: Display> + ?Sized,
    P: Product + ?Sized,
{
    /// Asks everybody, and carries out one output.
    fn step(&mut self) -> Option<Ended> {
        self.listen(Duration::ZERO);
        self.look();
        if !self.product.goes_on() {
            return Some(Ended::Stopped);
        }
        let now = self.now();
        match self.agent.poll_output(now) {
            Output::Event(event) => self.product.log(Line::Event(event)),
            Output::Reset => return Some(Ended::Reset),
            Output::Wait => self.wait(),
            Output::SelfTest => self.testing = true,
            Output::Draw => self.draw(),
            Output::Send(up) => self.send(&up),
            Output::Slots(work) => {
                self.product.before(&work);
                let feed = &mut || self.product.feed();
                let bench = Bench { flash: &mut *self.flash, buffer: &mut self.buffer, feed };
                let answer = self.slots.perform(work, bench);
                if let SlotsAnswer::Fresh(fresh) = &answer {
                    self.product.heard(fresh);
                }
                self.tell(Input::Slots(answer));
            }
        }
        None
    }

    /// Passes on what comes over the link, waiting for it at most so long.
    fn listen(&mut self, longest: Duration) {
        let rung = self.link.wait(longest);
        while let Some(news) = self.link.news() {
            self.product.log(Line::Link(news));
        }
        if rung {
            self.product.log(Line::Rung);
            self.tell(Input::Doorbell);
        }
    }

    /// Passes on what the product and the clock say.
    fn look(&mut self) {
        let open = self.product.gates();
        if open != self.open {
            self.open = open;
            self.tell(Input::Gates(open));
        }
        match if self.testing { self.product.self_test() } else { Trial::Undecided } {
            Trial::Undecided => {}
            Trial::Ask(nonce) => self.tell(Input::Ask(nonce)),
            Trial::Done(fitness) => {
                self.testing = false;
                self.tell(Input::SelfTest(fitness));
            }
        }
        let now = self.now();
        if self.agent.poll_timeout().is_some_and(|due| now >= due) {
            self.agent.handle_timeout(now);
        }
    }

    /// A nonce that anybody could foresee would be worse than none; the agent goes on without.
    fn draw(&mut self) {
        let mut nonce = [0; Nonce::LEN];
        if getrandom::fill(&mut nonce).is_ok() {
            self.tell(Input::Ask(Nonce::new(nonce)));
        }
    }

    fn wait(&mut self) {
        let due = self.agent.poll_timeout().map(|due| due.saturating_sub(self.now()));
        let nap = due.map_or(self.nap, |due| self.nap.min(Duration::from_millis(due)));
        self.listen(nap);
    }

    fn send(&mut self, up: &Up) {
        let input = match self.link.exchange(up) {
            Ok(down) => {
                self.product.log(Line::Answered { up, down: &down });
                Input::Message(down)
            }
            Err(why) => {
                self.product.log(Line::Unanswered { up, why: &why });
                Input::LinkLost
            }
        };
        self.agent.handle_input(milliseconds(self.started), input);
    }

    fn tell(&mut self, input: Input<'_>) {
        self.agent.handle_input(self.now(), input);
    }

    fn now(&self) -> u64 {
        milliseconds(self.started)
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

//! What both loops share.

use ota_agent::self_test::{SelfTest, Turn, Watchdog};
use ota_agent::{Agent, Event, Input};

/// What a board brings beside drivers. Of `Watchdog` it is one function, `feed`.
pub trait Board: Watchdog {
    fn random<const N: usize>(&mut self) -> [u8; N]; // bytes that nobody can guess
    fn log(&mut self, event: Event);
    fn reset(&mut self) -> !; // the bootloader does the rest
}

pub const ENVELOPE: usize = 1536; // bytes, Layout::envelope_limit
pub const WINDOW: usize = 16 * 1024; // bytes that are asked for at once: four erase pages

/// Does what is due: time limits, the watchdog and, in firmware on trial, the self-test, which began before or did not begin
/// (`None`). When it is to be polled again, ms; `None` once it is over.
///
/// While it runs, the watchdog is fed when a probe got further. Where it comes to no verdict, for want of a server, the trial
/// goes on to the end of its window, and then the agent asks for a reset.
pub fn tick(
    now: u64,
    testing: Option<u64>,
    test: &mut SelfTest<'_, '_>,
    board: &mut impl Board,
    agent: &mut Agent<'_>,
) -> Option<u64> {
    if agent.poll_timeout().is_some_and(|due| due <= now) {
        agent.handle_timeout(now);
    }
    if testing.is_none() {
        board.feed();
        return None;
    }
    match test.poll_feeding(now, board) {
        Turn::Progress | Turn::Ended { .. } => {}
        Turn::Ask(nonce) => agent.handle_input(now, Input::Ask(nonce)),
        Turn::Wait { until } => return Some(until),
        Turn::Done(verdict) => {
            verdict.input().into_iter().for_each(|input| agent.handle_input(now, input));
            return None;
        }
    }
    Some(now)
}

//! How fast the emulator is: instructions per second, and how much faster the host does the same work by itself.

use std::hint::black_box;
use std::time::{Duration, Instant};

use emulator::{Machine, Stop};

use crate::Result;

/// The assembled `vectors/speed.s`.
const CODE: &str = include_str!("../../../vectors/speed.txt");
/// Where it keeps its state and counts its rounds.
const STATE: u32 = 0x2000_1000;
/// How long each side works at least.
const LONG: Duration = Duration::from_secs(2);
const WORDS: usize = 256;

/// Measures and prints. Both sides must come to the same result.
pub(crate) fn measure() -> Result<()> {
    let mut machine = Machine::new();
    let words = CODE.lines().filter_map(|line| line.strip_prefix("code")).flat_map(str::split_whitespace);
    let mut code = Vec::new();
    for word in words {
        code.extend(u32::from_str_radix(word, 16)?.to_le_bytes());
    }
    machine.flash().load(0, &code).map_err(|_| "the code does not fit")?;
    machine.power_on();
    let mut table = [0; WORDS];
    let ram = machine.ram(0x2000_0000, 1024).ok_or("no RAM")?;
    for (word, bytes) in table.iter_mut().zip(ram.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }

    let start = Instant::now();
    while start.elapsed() < LONG {
        let stop = machine.run(10_000_000);
        if stop != Stop::Deadline {
            return Err(format!("ended by {stop:?}").into());
        }
    }
    let emulated = start.elapsed().as_secs_f64();
    let mut word = |at| machine.read_word(at).map_err(|_| "no RAM");
    let (state, rounds) = (word(STATE)?, word(STATE + 4)?);

    let (mut native_rounds, mut result, mut own) = (0, 1, 1);
    let start = Instant::now();
    while native_rounds < rounds || start.elapsed() < LONG {
        own = reference(black_box(&mut table), own);
        native_rounds += 1;
        if native_rounds == rounds {
            result = own;
        }
    }
    let native = start.elapsed().as_secs_f64();
    if result != state {
        return Err(
            format!("after {rounds} rounds the emulator has {state:08x}, the host {result:08x}").into()
        );
    }
    // Of one round, as emulated.
    let instructions = machine.core().instructions();
    let per_round = instructions as f64 / f64::from(rounds);
    let speed = instructions as f64 / emulated;
    let native_speed = f64::from(native_rounds) * per_round / native;
    println!("emulated: {:.1} million instructions per second", speed / 1e6);
    println!("native loop: the same work at {:.1} million of them per second", native_speed / 1e6);
    println!("ratio: 1 to {:.1}", native_speed / speed);
    Ok(())
}

/// What `round` does.
fn reference(table: &mut [u32; WORDS], mut state: u32) -> u32 {
    for word in table {
        let mixed = (*word ^ state).rotate_right(7).wrapping_add(state << 3);
        state = mixed ^ mixed >> 11;
        *word = state;
    }
    state
}

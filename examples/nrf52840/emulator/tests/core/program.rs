//! Running a whole program and comparing what it logs.

use emulator::{Core, Defect, Halt};

use crate::memory::Memory;

const PROGRAM: &str = include_str!("../../vectors/exceptions.txt");
/// Where programs keep the end of their log, and where it begins.
const LOG_END: u32 = 0x2000_3000;
const LOG: u32 = 0x2001_0000;
/// More than any of them takes.
const INSTRUCTIONS: u64 = 100_000;

/// The first difference, as an error.
pub(crate) fn run(defect: Option<Defect>) -> Result<(), String> {
    let code: Vec<u8> = words("code").into_iter().flat_map(u32::to_le_bytes).collect();
    let expected = words("log");
    let mut memory = Memory::new(code);
    let mut core = Core::default();
    core.plant(defect);
    core.reset(&mut memory).map_err(|_| "no vector table")?;
    let halt = loop {
        if core.instructions() > INSTRUCTIONS {
            return Err("does not end".into());
        }
        memory.now += 1;
        core.tick(memory.now);
        let stepped = if core.needs_attention() { core.service(&mut memory) } else { core.step(&mut memory) };
        if let Err(halt) = stepped {
            break halt;
        }
    };
    let len = (memory.word(LOG_END) - LOG) / 4;
    let log: Vec<u32> = (0..len).map(|index| memory.word(LOG + index * 4)).collect();
    if let Some(at) = (0..log.len().max(expected.len())).find(|at| log.get(*at) != expected.get(*at)) {
        let show = |log: &[u32]| log.get(at).map_or("nothing".into(), |word| format!("{word:08x}"));
        let context: Vec<_> = expected[at.saturating_sub(4).min(expected.len())..at.min(expected.len())]
            .iter()
            .map(|word| format!("{word:08x}"))
            .collect();
        let message = format!("word {at} is {} not {}, after {context:?}", show(&log), show(&expected));
        return Err(format!("{message}; ended by {halt:?}, last fault {:x?}", core.last_fault()));
    }
    // The program ends by calling its host.
    if halt == Halt::Breakpoint(0xAB) { Ok(()) } else { Err(format!("{halt:?}")) }
}

fn words(kind: &str) -> Vec<u32> {
    let lines = PROGRAM.lines().filter_map(|line| line.strip_prefix(kind));
    lines.flat_map(str::split_whitespace).map(|word| u32::from_str_radix(word, 16).unwrap()).collect()
}

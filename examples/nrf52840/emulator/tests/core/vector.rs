//! Reading and running instruction vectors.

use std::collections::BTreeMap;

use emulator::{Bus as _, Core, Defect, Register};

use crate::memory::Memory;

const VECTORS: &str = include_str!("../../vectors/instructions.txt");
/// Where data and, eight words below the stack pointer, the stack begin.
const DATA: u32 = 0x2000_8000;
const STACK: u32 = 0x2000_8FE0;
/// Ends a vector wherever it went.
const END: u16 = 0xDE00;
/// What CFSR says if no vector says otherwise: that end.
const UNDEFINED: u32 = 1 << 16;

/// Names and values, in the order of the names.
type State = BTreeMap<String, u32>;

/// How many vectors there are, and a line for each that came out otherwise.
pub(crate) fn run(defect: Option<Defect>) -> (usize, Vec<String>) {
    let mut usual: BTreeMap<String, State> = BTreeMap::new();
    let (mut count, mut mismatches) = (0, Vec::new());
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').collect();
        if let Some(name) = line.strip_prefix("usual ") {
            let name = name.split(' ').next().unwrap();
            usual.insert(name.into(), state(parts[1]));
            continue;
        }
        count += 1;
        let [_, code, before, after] = parts.try_into().unwrap();
        let fill = before.split("data=").nth(1).map_or("any", |rest| rest.split(' ').next().unwrap());
        let mut start = usual[fill].clone();
        start.extend(state(before));
        let mut expected = start.clone();
        expected.insert("cfsr".into(), UNDEFINED);
        expected.extend(state(after));
        let found = execute(&halves(code), &start, defect);
        let wrong: Vec<String> = expected
            .iter()
            .filter(|(name, value)| compared(name, &start, &found) && found.get(*name) != Some(*value))
            .map(|(name, value)| format!("{name} {:x} not {value:x}", found.get(name).unwrap_or(&0)))
            .collect();
        if !wrong.is_empty() {
            mismatches.push(format!("{line}\n    {}", wrong.join(", ")));
        }
    }
    (count, mismatches)
}

/// Vectors say nothing of the stack below its pointer, unless they push, which their lines then list.
fn compared(name: &str, start: &State, found: &State) -> bool {
    let Some(index) = name.strip_prefix("stack") else { return true };
    let address = STACK + index.parse::<u32>().unwrap() * 4;
    address >= start["r13"].max(found["r13"]) || found["r13"] < start["r13"] && address >= found["r13"]
}

fn state(text: &str) -> State {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, value)| Some((name.to_owned(), u32::from_str_radix(value, 16).ok()?))).collect()
}

fn halves(text: &str) -> Vec<u16> {
    text.split_whitespace().map(|half| u16::from_str_radix(half, 16).unwrap()).collect()
}

fn registers() -> impl Iterator<Item = (String, Register)> {
    let core = (0..16).map(|number| (format!("r{number}"), Register::R(number)));
    let float = (0..32).map(|number| (format!("s{number}"), Register::S(number)));
    let status = [("xpsr".into(), Register::Xpsr), ("fpscr".into(), Register::Fpscr)];
    core.chain(float).chain(status)
}

fn execute(code: &[u16], start: &State, defect: Option<Defect>) -> State {
    let mut memory = Memory::new(Vec::new());
    let slot = start["r15"];
    for at in (slot - 0x1000..slot + 0x1000).step_by(2) {
        memory.write16(at, END).unwrap();
    }
    for (at, half) in (slot..).step_by(2).zip(code) {
        memory.write16(at, *half).unwrap();
    }
    for (name, base) in [("data", DATA), ("stack", STACK)] {
        for index in 0..16 {
            let value = start.get(&format!("{name}{index}")).copied().unwrap_or(0);
            memory.write32(base + index * 4, value).unwrap();
        }
    }
    let mut core = prepared(&mut memory);
    core.plant(defect);
    for (name, register) in registers() {
        core.set_register(register, start.get(&name).copied().unwrap_or(0));
    }
    let (core, cfsr) = until_the_end(core, &mut memory);
    let mut found: State = registers().map(|(name, register)| (name, core.register(register))).collect();
    for (name, base) in [("data", DATA), ("stack", STACK)] {
        for index in 0..16 {
            found.insert(format!("{name}{index}"), memory.word(base + index * 4));
        }
    }
    found.insert("cfsr".into(), cfsr);
    found
}

/// A core on the process stack, floating point on, frames without it: as the harness runs its cases.
fn prepared(memory: &mut Memory) -> Core {
    let at = 0x2000_1000;
    // str r1, [r0]; str r3, [r2]; msr control, r4
    for (address, half) in (at..).step_by(2).zip([0x6001_u16, 0x6013, 0xF384, 0x8814]) {
        memory.write16(address, half).unwrap();
    }
    let mut core = Core::default();
    let registers = [(0, 0xE000_ED88), (1, 0xF0_0000), (2, 0xE000_EF34), (3, 0), (4, 2), (15, at)];
    for (number, value) in registers {
        core.set_register(Register::R(number), value);
    }
    for _ in 0..3 {
        core.step(memory).unwrap();
    }
    core
}

/// The core before the instruction that faulted, or on the end, and the status of the fault.
fn until_the_end(mut core: Core, memory: &mut Memory) -> (Core, u32) {
    for _ in 0..20 {
        let before = core.clone();
        if memory.read16(core.register(Register::R(15))) == Ok(END) {
            return (before, UNDEFINED);
        }
        if core.step(memory).is_err() || core.last_fault().is_some() {
            return (before, core.fault_status());
        }
    }
    panic!("a vector does not end");
}

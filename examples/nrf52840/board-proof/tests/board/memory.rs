//! The bootloader's own routines for memory, as they are linked, called one by one.

use emulator::{Machine, Program, Stop};

use crate::plays;

/// Where the caller lies: a slot's flash, as nothing else runs.
const CALLER: u32 = 0x2_0000;
/// Loads the arguments and the routine from the words behind it, calls, stores what is returned: `ldr r0` to `ldr r3`, `blx r3`,
/// `ldr r4`, `str r0, [r4]`, `bkpt #1`.
const CODE: [u16; 8] = [0x4804, 0x4905, 0x4A05, 0x4B06, 0x4798, 0x4C06, 0x6020, 0xBE01];
const RAM: u32 = 0x2000_0000;
const RESULT: u32 = RAM + 0x400;
const FROM: u32 = RAM + 0x100;

/// A chip with the bootloader, and what calls its routines.
struct Caller {
    machine: Machine,
    program: Program,
}

impl Caller {
    fn new() -> Self {
        let (mut machine, program) = (Machine::new(), plays().cast.bootloader.clone());
        machine.load(&program).unwrap();
        let vectors = [RAM + 0x1000, CALLER + 1].map(u32::to_le_bytes).concat();
        machine.flash().load(0, &vectors).unwrap();
        machine.flash().load(CALLER, &CODE.map(u16::to_le_bytes).concat()).unwrap();
        Self { machine, program }
    }

    /// Calls a routine with `memory` at [`RAM`]; what it returns, and the memory then.
    fn call(&mut self, routine: &str, arguments: [u32; 3], memory: &[u8]) -> (u32, Vec<u8>) {
        let routine = self.program.address(routine).unwrap_or_else(|| panic!("{routine} is not linked"));
        let [a, b, c] = arguments;
        let words = [0, a, b, c, routine | 1, RESULT].map(u32::to_le_bytes).concat();
        self.machine.flash().load(CALLER + 16, &words).unwrap();
        self.machine.power_on();
        let len = u32::try_from(memory.len()).unwrap();
        self.machine.ram(RAM, len).unwrap().copy_from_slice(memory);
        assert_eq!(self.machine.run(100_000), Stop::Breakpoint(1));
        (self.machine.read_word(RESULT).unwrap(), self.machine.ram(RAM, len).unwrap().to_vec())
    }
}

/// Memory in which no two neighbours are alike.
fn memory() -> Vec<u8> {
    (0..=255).chain(0..=255).collect()
}

/// Every way to lie across words, and lengths from nothing to several of them.
fn cases() -> impl Iterator<Item = (usize, usize, usize)> {
    (0..4).flat_map(|to| {
        (0..4).flat_map(move |from| [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33].map(|n| (to, from, n)))
    })
}

fn at(start: u32, offset: usize) -> u32 {
    start + u32::try_from(offset).unwrap()
}

#[test]
fn memory_is_copied_as_it_is_and_nothing_around_it() {
    let mut caller = Caller::new();
    let from_start = (FROM - RAM) as usize;
    for (to, from, n) in cases() {
        let mut expected = memory();
        expected.copy_within(from_start + from..from_start + from + n, to + 8);
        let arguments = [at(RAM, to + 8), at(FROM, from), at(0, n)];
        let (returned, found) = caller.call("memcpy", arguments, &memory());
        assert_eq!(found, expected, "{to} {from} {n}");
        assert_eq!(returned, arguments[0]);
    }
}

#[test]
fn memory_is_filled_and_cleared_and_nothing_around_it() {
    let mut caller = Caller::new();
    for (to, byte, n) in cases() {
        let byte: u32 = [0x00, 0xA5, 0xFF, 0x15A][byte];
        for (routine, byte) in [("__aeabi_memset", byte), ("__aeabi_memclr", 0)] {
            let mut expected = memory();
            expected[to + 8..to + 8 + n].fill(byte.to_le_bytes()[0]);
            let (_, found) = caller.call(routine, [at(RAM, to + 8), at(0, n), byte], &memory());
            assert_eq!(found, expected, "{routine} {to} {byte} {n}");
        }
    }
}

#[test]
fn memory_is_compared_up_to_the_first_byte_that_differs() {
    let mut caller = Caller::new();
    let from_start = (FROM - RAM) as usize;
    for (a, b, n) in cases() {
        let mut equal = memory();
        equal.copy_within(from_start + b..from_start + b + n, a);
        let arguments = [at(RAM, a), at(FROM, b), at(0, n)];
        assert_eq!(caller.call("memcmp", arguments, &equal).0, 0, "{a} {b} {n}");
        for differs in [0, n / 2, n.saturating_sub(1)].into_iter().filter(|differs| *differs < n) {
            for change in [1, -1, 127, -128_i8] {
                let mut other = equal.clone();
                other[a + differs] = equal[a + differs].wrapping_add_signed(change);
                let sign = i32::from(other[a + differs]) - i32::from(equal[a + differs]);
                let found = caller.call("memcmp", arguments, &other).0.cast_signed();
                assert_eq!(found.signum(), sign.signum(), "{a} {b} {n} {differs} {change}");
            }
        }
    }
}

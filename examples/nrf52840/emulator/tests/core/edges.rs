//! What the other implementation leaves out or does otherwise: alignment of accesses to several words, faults while a frame
//! is written, lockup, sleep. Expectations are those of the architecture manual, sections A3.2.1, B1.5.13 to B1.5.19.

use emulator::{Bus as _, Core, Exception, Fault, Halt, Register, Sleep, Touch};

use crate::memory::{Memory, RAM};

/// Handlers follow the table, each a branch to itself: hard fault, bus fault, SVCall, any interrupt.
const HARD_FAULT: u32 = 0x80;
const BUS_FAULT: u32 = 0x84;
const SVCALL: u32 = 0x88;
const INTERRUPT: u32 = 0x8C;
/// Code under test.
const CODE: u32 = RAM + 0x100;

/// A core that is about to execute `code`.
fn core(code: &[u16]) -> (Core, Memory) {
    let mut table = vec![INTERRUPT | 1; 32];
    (table[0], table[1], table[3], table[5], table[11]) =
        (RAM + 0x1000, CODE | 1, HARD_FAULT | 1, BUS_FAULT | 1, SVCALL | 1);
    let mut image: Vec<u8> = table.into_iter().flat_map(u32::to_le_bytes).collect();
    // Each handler: nop; bx lr.
    image.extend([0x00, 0xBF, 0x70, 0x47].repeat(4));
    let mut memory = Memory::new(image);
    for (address, half) in (CODE..).step_by(2).zip(code) {
        memory.write16(address, *half).unwrap();
    }
    let mut core = Core::default();
    core.reset(&mut memory).unwrap();
    // Takes the reset's own call for attention.
    core.service(&mut memory).unwrap();
    (core, memory)
}

/// `str r1, [r0]` with these registers, out of the way.
fn store(core: &mut Core, memory: &mut Memory, address: u32, value: u32) {
    let kept = [0, 1, 15].map(|number| core.register(Register::R(number)));
    memory.write16(RAM + 0x200, 0x6001).unwrap();
    for (number, value) in [(0, address), (1, value), (15, RAM + 0x200)] {
        core.set_register(Register::R(number), value);
    }
    core.step(memory).unwrap();
    for (number, value) in [0, 1, 15].into_iter().zip(kept) {
        core.set_register(Register::R(number), value);
    }
}

fn pc(core: &Core) -> u32 {
    core.register(Register::R(15))
}

#[test]
fn only_single_words_and_halfwords_may_be_unaligned() {
    let aligned: [(&str, &[u16]); 12] = [
        ("ldrd", &[0xE9D2, 0x0100]),
        ("strd", &[0xE9C2, 0x0100]),
        ("ldm", &[0xCA03]),
        ("stm", &[0xC203]),
        ("ldm.w", &[0xE892, 0x0101]),
        ("stmdb", &[0xE902, 0x0101]),
        ("ldrex", &[0xE852, 0x0F00]),
        ("strex", &[0xE842, 0x1000]),
        ("ldrexh", &[0xE8D2, 0x0F5F]),
        ("vldr", &[0xED92, 0x0A00]),
        ("vstr", &[0xED82, 0x0A00]),
        ("vldm", &[0xEC92, 0x0A02]),
    ];
    let any: [(&str, &[u16]); 5] = [
        ("ldr", &[0x6810]),
        ("str", &[0x6010]),
        ("ldrh", &[0x8810]),
        ("strh", &[0x8010]),
        ("ldrsh.w", &[0xF9B2, 0x0000]),
    ];
    for (name, code, faults) in
        aligned.iter().map(|(name, code)| (name, code, true)).chain(any.iter().map(|(n, c)| (n, c, false)))
    {
        let (mut core, mut memory) = core(code);
        store(&mut core, &mut memory, 0xE000_ED88, 0xF0_0000);
        core.set_register(Register::R(2), RAM + 0x401);
        core.step(&mut memory).unwrap();
        let fault = core.last_fault().map(|record| record.fault);
        assert_eq!(fault, faults.then_some(Fault::Unaligned), "{name}");
        if faults {
            assert_eq!((pc(&core), core.fault_status()), (HARD_FAULT, 1 << 24), "{name}");
        }
    }
}

#[test]
fn a_fault_in_the_hard_fault_handler_locks_up() {
    // udf #0, in the handler as well.
    let (mut core, mut memory) = core(&[0xDE00]);
    core.step(&mut memory).unwrap();
    assert_eq!((pc(&core), core.current_exception()), (HARD_FAULT, Some(Exception(3))));
    core.set_register(Register::R(15), CODE);
    assert_eq!(core.step(&mut memory), Err(Halt::Lockup(Fault::Undefined)));
}

#[test]
fn without_a_stack_the_hard_fault_is_still_taken() {
    let (mut core, mut memory) = core(&[0xDE00]);
    core.set_register(Register::R(13), 0x9000_0000);
    core.step(&mut memory).unwrap();
    assert_eq!((pc(&core), core.fault_status()), (HARD_FAULT, 1 << 16 | 1 << 12));
    assert_eq!(core.register(Register::R(14)), 0xFFFF_FFF9);
}

#[test]
fn a_call_whose_frame_cannot_be_written_yields_to_the_more_urgent_bus_fault() {
    // svc 0
    for (call_priority, expected) in [(0, SVCALL), (0x80, BUS_FAULT)] {
        let (mut core, mut memory) = core(&[0xDF00]);
        store(&mut core, &mut memory, 0xE000_ED24, 1 << 17);
        store(&mut core, &mut memory, 0xE000_ED1C, call_priority << 24);
        core.set_register(Register::R(13), 0x9000_0000);
        core.step(&mut memory).unwrap();
        assert_eq!((pc(&core), core.fault_status()), (expected, 1 << 12), "{call_priority}");
    }
}

#[test]
fn without_a_vector_for_it_a_fault_becomes_a_hard_fault_and_then_a_lockup() {
    let (mut core, mut memory) = core(&[0xDF00, 0xDF00]);
    // VTOR to where nothing is.
    store(&mut core, &mut memory, 0xE000_ED08, 0x9000_0000);
    assert_eq!(core.step(&mut memory), Err(Halt::Lockup(Fault::Undefined)));
}

#[test]
fn an_event_is_remembered_and_ends_one_wait() {
    // sev; wfe; wfe; nop
    let (mut core, mut memory) = core(&[0xBF40, 0xBF20, 0xBF20, 0xBF00]);
    for _ in 0..2 {
        core.step(&mut memory).unwrap();
    }
    assert_eq!(core.sleep(), None);
    core.step(&mut memory).unwrap();
    assert_eq!(core.sleep(), Some(Sleep::Event));
    // An interrupt that is not enabled does not wake, unless firmware asked for it (SEVONPEND).
    core.set_interrupt_lines(1);
    core.service(&mut memory).unwrap();
    assert_eq!(core.sleep(), Some(Sleep::Event));
    store(&mut core, &mut memory, 0xE000_ED10, 1 << 4);
    core.service(&mut memory).unwrap();
    assert_eq!(core.sleep(), None);
}

#[test]
fn with_interrupts_masked_sleep_ends_without_a_handler() {
    // cpsid i; wfi; nop; cpsie i; nop
    let (mut core, mut memory) = core(&[0xB672, 0xBF30, 0xBF00, 0xB662, 0xBF00]);
    store(&mut core, &mut memory, 0xE000_E100, 1);
    for _ in 0..2 {
        core.step(&mut memory).unwrap();
    }
    core.service(&mut memory).unwrap();
    assert_eq!(core.sleep(), Some(Sleep::Interrupt));
    core.set_interrupt_lines(1);
    core.service(&mut memory).unwrap();
    assert_eq!((core.sleep(), core.current_exception()), (None, None));
    for _ in 0..2 {
        core.step(&mut memory).unwrap();
    }
    core.service(&mut memory).unwrap();
    assert_eq!((core.current_exception(), pc(&core)), (Some(Exception(16)), INTERRUPT));
}

#[test]
fn the_end_of_a_handler_may_be_the_beginning_of_sleep() {
    let (mut core, mut memory) = core(&[0xBF00]);
    store(&mut core, &mut memory, 0xE000_E100, 1);
    store(&mut core, &mut memory, 0xE000_ED10, 2);
    core.set_interrupt_lines(1);
    core.service(&mut memory).unwrap();
    core.set_interrupt_lines(0);
    for _ in 0..2 {
        core.step(&mut memory).unwrap();
    }
    assert_eq!((core.current_exception(), core.sleep(), pc(&core)), (None, Some(Sleep::Interrupt), CODE));
}

#[test]
fn a_line_that_stays_high_asks_again_and_one_that_fell_does_not() {
    let (mut core, mut memory) = core(&[0xBF00, 0xBF00]);
    store(&mut core, &mut memory, 0xE000_E100, 1);
    core.set_interrupt_lines(1);
    for _ in 0..2 {
        core.service(&mut memory).unwrap();
        assert_eq!(core.current_exception(), Some(Exception(16)));
        for _ in 0..2 {
            core.step(&mut memory).unwrap();
        }
    }
    core.service(&mut memory).unwrap();
    core.set_interrupt_lines(0);
    for _ in 0..2 {
        core.step(&mut memory).unwrap();
    }
    core.service(&mut memory).unwrap();
    assert_eq!(core.current_exception(), None);
}

#[test]
fn registers_of_the_core_are_read_by_parts_and_priorities_written_so() {
    // strb r1, [r0]; ldrb r2, [r0]; ldrh r3, [r0, #0]; ldr r4, [r5]
    let (mut core, mut memory) = core(&[0x7001, 0x7802, 0x8803, 0x682C]);
    for (register, value) in [(0, 0xE000_E406), (1, 0x7F), (5, 0xE000_E404)] {
        core.set_register(Register::R(register), value);
    }
    for _ in 0..4 {
        core.step(&mut memory).unwrap();
    }
    assert_eq!(core.last_fault(), None);
    let found = [2, 3, 4].map(|register| core.register(Register::R(register)));
    assert_eq!(found, [0x60, 0x60, 0x60_0000], "three bits of priority");
}

#[test]
fn an_interrupt_whose_line_is_high_cannot_be_forgotten() {
    let (mut core, mut memory) = core(&[0xBF00]);
    core.set_interrupt_lines(1);
    store(&mut core, &mut memory, 0xE000_E280, 1);
    store(&mut core, &mut memory, 0xE000_E100, 1);
    core.service(&mut memory).unwrap();
    assert_eq!(core.current_exception(), Some(Exception(16)));
    let (mut core, mut memory) = self::core(&[0xBF00]);
    core.set_interrupt_lines(1);
    core.set_interrupt_lines(0);
    store(&mut core, &mut memory, 0xE000_E280, 1);
    store(&mut core, &mut memory, 0xE000_E100, 1);
    core.service(&mut memory).unwrap();
    assert_eq!(core.current_exception(), None);
}

#[test]
fn registers_of_the_core_that_are_not_modelled_are_told() {
    let (mut core, mut memory) = core(&[0x6802]);
    store(&mut core, &mut memory, 0xE000_ED94, 1);
    core.set_register(Register::R(0), 0xE000_ED90);
    core.step(&mut memory).unwrap();
    assert_eq!(memory.unmodelled, [(0xE000_ED94, Touch::Write), (0xE000_ED90, Touch::Read)]);
}

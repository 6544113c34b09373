//! A sweep over power cuts: firmware (`vectors/journal.s`) that counts in flash, cut at each of its flash operations, before,
//! in the middle and after, and started again from what is left.

use emulator::{Cut, FlashFault, HZ, Machine, Stop};

const CODE: &str = include_str!("../vectors/journal.txt");
const COUNTED: u32 = 0x2000_0000;
const FOUND: u32 = 0x2000_0004;
const CARELESS: u32 = 0x7_F000;
const LAST: u32 = 20;
const DONE: Stop = Stop::Breakpoint(0);

fn machine(careless: bool) -> Machine {
    let words = CODE.lines().filter_map(|line| line.strip_prefix("code")).flat_map(str::split_whitespace);
    let code: Vec<u8> = words.flat_map(|word| u32::from_str_radix(word, 16).unwrap().to_le_bytes()).collect();
    let mut machine = Machine::new();
    machine.flash().load(0, &code).unwrap();
    if careless {
        machine.flash().load(CARELESS, &[0; 4]).unwrap();
    }
    machine.power_on();
    machine
}

/// How many cuts there were, and those after which the count was not the last one recorded or the one after it.
fn sweep(careless: bool) -> (usize, Vec<FlashFault>) {
    let start = machine(careless);
    let mut golden = start.clone();
    assert_eq!(golden.run(100 * HZ), DONE);
    let operations = golden.flash().operations();
    let cuts = |operation| [Cut::Before, Cut::Torn(operation), Cut::Torn(!operation), Cut::After];
    let faults =
        (1..=operations).flat_map(|operation| cuts(operation).map(|cut| FlashFault { operation, cut }));
    let faults: Vec<_> = faults.collect();
    let lost = faults.iter().copied().filter(|fault| {
        let mut machine = start.clone();
        machine.flash().set_fault(Some(*fault));
        assert_eq!(machine.run(100 * HZ), Stop::PowerLost);
        let counted = machine.read_word(COUNTED).unwrap();
        machine.power_on();
        assert_eq!(machine.run(100 * HZ), DONE, "{fault:?}");
        assert_eq!(machine.read_word(COUNTED), Ok(LAST), "{fault:?}");
        let found = machine.read_word(FOUND).unwrap();
        found != counted && found != counted + 1
    });
    (faults.len(), lost.collect())
}

#[test]
fn a_journal_in_two_pages_survives_a_cut_at_every_operation() {
    let (cuts, lost) = sweep(false);
    assert_eq!((cuts, lost), (4 * 23, vec![]), "twenty records and three erases");
}

#[test]
fn a_journal_that_erases_before_it_writes_is_caught() {
    let (cuts, lost) = sweep(true);
    assert_eq!(cuts, 4 * 40);
    // From the second record on: torn, after the erase, before the record.
    assert!(lost.len() > 40, "{}", lost.len());
}

#[test]
fn each_word_is_programmed_once_per_erase() {
    let mut machine = machine(false);
    assert_eq!(machine.run(100 * HZ), DONE);
    assert_eq!(machine.flash().overprogrammed().count(), 0);
    let programs = (0x8_0000..0x8_0020).step_by(4).filter_map(|address| machine.flash().programs(address));
    assert_eq!(programs.max(), Some(1));
    assert_eq!((machine.flash().erases(0x8_0000), machine.flash().erases(0x8_1000)), (Some(2), Some(1)));
}

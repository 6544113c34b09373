//! Boards in a state that no update leaves, and releases that no server should offer.

use board_proof::{Bench, Change, Conduct, End};
use emulator::{Machine, Program};
use layout::LAYOUT;
use ota_manifest::wire::Stage;
use ota_slots::SlotId;
use provision::{Factory, Image, Keys, Release, SecretKey, Terms, development};

use crate::plays;

/// Writes this over a slot, from its start.
fn spoil(machine: &mut Machine, slot: SlotId, bytes: &[u8]) {
    machine.flash().load(LAYOUT.slot(slot).region.start, bytes).unwrap();
}

fn garbage(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_le_bytes()).take(len).collect()
}

fn slot_len() -> usize {
    LAYOUT.slot(SlotId::B).region.len as usize
}

/// Power comes on and, within three seconds, nothing is handed over to.
fn rests(bench: &mut Bench) {
    bench.power_on();
    let operations = bench.machine.flash().operations();
    let mut lit = Vec::new();
    let end = bench.run_until(3, |bench| {
        lit.push(bench.machine.pin(13));
        bench.running.is_some()
    });
    assert_eq!(end, End::Late, "{:?}", bench.handovers);
    assert_eq!(bench.machine.flash().operations(), operations, "it writes nothing");
    let flashes = lit.windows(2).filter(|pair| pair == &[Some(true), Some(false)]).count();
    assert!((2..=6).contains(&flashes), "its light flashed {flashes} times");
}

#[test]
fn whatever_the_other_slot_holds_the_confirmed_one_boots_and_is_updated() {
    let plays = plays();
    let image = &plays.image(Conduct::Healthy).unwrap().bytes;
    let half = [&image[..image.len() / 2], &vec![0xFF; slot_len() - image.len() / 2]].concat();
    for contents in [vec![0; slot_len()], garbage(slot_len()), half] {
        let mut machine = plays.factory();
        spoil(&mut machine, SlotId::B, &contents);
        let mut bench = plays.unpowered(machine);
        bench.power_on();
        bench.desk.offer(&plays.release(Conduct::Healthy).unwrap());
        let end = bench.run_until(120, |bench| bench.desk.end().is_some());
        assert_eq!((end, bench.desk.end()), (End::Done, Some(Stage::Confirmed)));
        assert_eq!((&bench.handovers[..], bench.unverified), (&[SlotId::A, SlotId::B][..], 0));
    }
}

#[test]
fn confirmed_image_that_rots_gives_way_to_the_other_slot() {
    let plays = plays();
    let mut bench = plays.update().unwrap().end;
    let start = LAYOUT.slot(SlotId::B).region.start + 0x1000;
    let byte = bench.machine.flash().bytes(start, 1).unwrap()[0];
    bench.machine.flash().load(start, &[byte ^ 0x10]).unwrap();
    bench.power_on();
    assert_eq!(bench.run_until(30, |bench| bench.running.is_some()), End::Done);
    assert_eq!((bench.running, bench.unverified), (Some(SlotId::A), 0));
}

#[test]
fn with_nothing_to_boot_the_light_flashes_and_nothing_is_written() {
    let plays = plays();
    for contents in [vec![0xFF; slot_len()], garbage(slot_len())] {
        let mut machine = plays.factory();
        SlotId::BOTH.into_iter().for_each(|slot| spoil(&mut machine, slot, &contents));
        rests(&mut plays.unpowered(machine));
    }
}

#[test]
fn journal_of_garbage_boots_the_slot_that_proves_itself() {
    let plays = plays();
    let mut machine = plays.factory();
    let journal = LAYOUT.journal();
    machine.flash().load(journal.start, &garbage(journal.len as usize)).unwrap();
    let mut bench = plays.unpowered(machine);
    bench.power_on();
    assert_eq!(bench.run_until(30, |bench| bench.desk.polls > 0), End::Done);
    assert_eq!((bench.running, bench.unverified), (Some(SlotId::A), 0));
}

#[test]
fn image_for_the_running_slot_alone_is_refused_and_one_that_lies_about_its_address_goes_back() {
    let plays = plays();
    let first = plays.cast.first.clone();
    let mut bench = plays.at_work().unwrap();
    bench.desk.offer(&plays.cast.release(vec![first.clone()], 2).unwrap());
    let end = bench.run_until(60, |bench| bench.desk.end().is_some());
    assert!(
        end == End::Done && matches!(bench.desk.end(), Some(Stage::Rejected { .. })),
        "{:?}",
        bench.desk.end()
    );

    // The same bytes, signed as if they were for slot B: its first instruction would be in slot A.
    let lie = Image { slot: SlotId::B, ..first };
    bench.permit(lie.clone());
    bench.desk.offer(&plays.cast.release(vec![lie], 3).unwrap());
    let end = bench.run_until(300, |bench| bench.desk.end().is_some());
    assert!(
        end == End::Done && matches!(bench.desk.end(), Some(Stage::RolledBack { .. })),
        "{:?}",
        bench.desk.end()
    );
    assert_eq!(bench.running, Some(SlotId::A));
}

#[test]
fn release_bootloader_refuses_what_the_development_key_signed() {
    let plays = plays();
    let image = plays.cast.first.clone();
    let key = SecretKey::read(&development().join("release.key")).unwrap();
    let release = Release::sign(vec![image], &Terms::numbered(1), &key).unwrap();
    let bootloader = &plays.cast.bootloader;
    let make = |keys: &Keys| Factory::make(bootloader, keys, &release.packed[0], &release.envelope);
    let refused = |keys: &Keys| format!("{:#}", make(keys).err().unwrap());
    assert!(refused(plays.cast.keys()).contains("would not run this image"));
    assert!(refused(&Keys::read(&development()).unwrap()).contains("pins other keys"));

    // And so does the board, if somebody flashes it all the same.
    let mut machine = plays.factory();
    let envelope = LAYOUT.envelope_offset(ota_slots::Site::Slot(SlotId::A));
    let start = LAYOUT.slot(SlotId::A).region.start;
    machine.flash().load(start + envelope, &release.envelope).unwrap();
    rests(&mut plays.unpowered(machine));
}

/// Half the flash, other pins, another speed.
const ANOTHER_BOARD: [Change; 4] = [
    Change {
        file: "examples/nrf52840/layout/src/lib.rs",
        from: "pub const FLASH_BYTES: u32 = 0x10_0000;",
        to: "pub const FLASH_BYTES: u32 = 0x8_0000;",
    },
    Change {
        file: "examples/nrf52840/layout/src/lib.rs",
        from: "pub const BAUD: u32 = 115_200;",
        to: "pub const BAUD: u32 = 1_000_000;",
    },
    Change {
        file: "examples/nrf52840/layout/src/pins.rs",
        from: "receive: $peripherals.P0_08.into(),",
        to: "receive: $peripherals.P1_01.into(),",
    },
    Change {
        file: "examples/nrf52840/layout/src/pins.rs",
        from: "        $peripherals.P0_13\n",
        to: "        $peripherals.P1_10\n",
    },
];

#[test]
fn another_board_is_a_matter_of_layout_alone() {
    let [bootloader, app] = plays().cast.changed("another-board", &ANOTHER_BOARD).unwrap();
    let start = |program: &Program| program.segments().iter().map(|(address, _)| *address).min();
    assert_eq!(start(&bootloader), Some(0));
    // What follows the journal, halved, in whole pages.
    let journal = LAYOUT.journal();
    let first = journal.start + journal.len;
    assert_eq!(start(&app), Some(first + (0x8_0000 - first) / 4096 / 2 * 4096));
}

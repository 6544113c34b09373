//! Arbitrary bytes in the state regions of a device with two good images: it boots, in bounded work, a proven one.
//!
//! ```text
//! input:   device u8 | chunk ...
//! chunk:   kind u8 | offset u16, little endian | length u8 | bytes
//! kind:    0 as it is; 1, 2, 3 a cell of the journal, the progress, the guard region: its checksum is put right
//! ```

use embedded_storage::nor_flash::NorFlash as _;
use ota_manifest::{ResetCause, RollbackReason};
use ota_slots::sim::{Cut, CutMode};
use ota_slots::{Recovery, SlotId, SlotState, Snapshot, Strategy};

use crate::Target;
use crate::rig::{Booted, GUARD, PROGRESS, Reply, Rig, STRATEGIES};

/// The target.
pub const TARGET: Target = Target { name: "slots_state", run, seeds };

/// Flash operations and reads that a boot may take; an honest one takes a tenth.
const MOST_OPERATIONS: usize = 600;
const MOST_READS: u64 = 6000;
const CAUSES: [ResetCause; 3] = [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software];
/// Start, length and magic of cells: journal, progress, guard.
const CELLS: [(usize, usize, [u8; 2]); 3] =
    [(0, 128, *b"OJ"), (PROGRESS.start, 16, *b"OP"), (GUARD.start, 32, *b"OG")];

fn run(input: &[u8]) {
    let Some((device, chunks)) = input.split_first() else { return };
    let mut rig = device_of(*device);
    scatter(&mut rig, chunks);
    let may_recover = may_recover(&rig);
    for cause in CAUSES.repeat(4) {
        let (operations, reads) = (rig.flash.operations(), rig.flash.counts().reads);
        // Whether what is handed over is proven, the rig itself looks at.
        let booted = rig.boot(cause);
        assert!(rig.flash.operations() - operations <= MOST_OPERATIONS, "a boot without end");
        assert!(rig.flash.counts().reads - reads <= MOST_READS, "a boot without end");
        let recovered = booted == Booted::Recovery(Recovery::NothingProven);
        assert!(booted.ran().is_some() || recovered && may_recover, "{booted:?} with two good images");
    }
    assert_eq!(rig.flash.violations(), 0, "a broken rule of flash");
}

/// Release 1 in slot A and release 2 staged in slot B; or release 2 runs, and 1 is where it has been put.
fn device_of(byte: u8) -> Rig {
    let strategy = STRATEGIES[usize::from(byte) % 3];
    let mut rig = Rig::new(strategy, u64::from(byte));
    let booted = rig.boot(ResetCause::PowerOn);
    assert_eq!(booted.ran(), Some((SlotState::Confirmed, 1)));
    rig.update(2, 3);
    if byte & 0x80 != 0 {
        assert_eq!(rig.boot(ResetCause::Software).ran(), Some((SlotState::Trial, 2)));
        assert_eq!(rig.confirm(), Reply::Done);
    }
    let end = u32::try_from(GUARD.end).expect("a small flash");
    rig.flash.erase(0, end).expect("whole pages");
    rig.twin(u64::from(byte))
}

fn scatter(rig: &mut Rig, mut chunks: &[u8]) {
    let mut regions = vec![0xFF; GUARD.end];
    while let [kind, low, high, len, rest @ ..] = chunks {
        let (bytes, next) = rest.split_at(usize::from(*len).min(rest.len()));
        chunks = next;
        let offset = usize::from(u16::from_le_bytes([*low, *high]));
        match usize::from(*kind % 4).checked_sub(1) {
            None => put(&mut regions, offset % GUARD.end, bytes),
            Some(region) => put_cell(&mut regions, CELLS[region], offset, bytes),
        }
    }
    // What reads blank is blank: no flash has cells that are used up and do not show it, unless they are worn.
    for (unit, bytes) in regions.chunks(4).enumerate().filter(|(_, bytes)| *bytes != [0xFF; 4]) {
        rig.flash.corrupt(4 * unit, bytes);
    }
}

fn put(regions: &mut [u8], at: usize, bytes: &[u8]) {
    regions.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
}

fn put_cell(regions: &mut [u8], (start, len, magic): (usize, usize, [u8; 2]), offset: usize, bytes: &[u8]) {
    let mut cell = vec![0; len];
    put(&mut cell, 0, bytes);
    put(&mut cell, 0, &magic);
    cell[2] = 1;
    let sum = crc(&cell[..len - 4]).to_le_bytes();
    put(&mut cell, len - 4, &sum);
    put(regions, start + offset % (2048 / len) * len, &cell);
}

/// CRC-32 (ISO-HDLC), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

/// Well-formed lies that can cost both images: a floor above them, or a move that never was. Noise is none of these.
fn may_recover(rig: &Rig) -> bool {
    let guard = cells(rig, 2).iter().map(|cell| word(cell, 8)).max().unwrap_or(0);
    let records = cells(rig, 0);
    let decoded = records.iter().filter_map(|cell| Snapshot::decode(cell.first_chunk()?));
    // A move that is said to be under way is gone on with where the journal does not know better.
    let moves = rig.world.layout.strategy().moves() && !cells(rig, 1).is_empty();
    guard > 1 || moves || decoded.into_iter().any(|(.., record)| is_costly(rig, &record))
}

fn is_costly(rig: &Rig, record: &Snapshot) -> bool {
    let in_motion = [SlotState::Swapping, SlotState::Installing, SlotState::Reverting, SlotState::Pending];
    let moves = rig.world.layout.strategy().moves();
    let states = SlotId::BOTH.map(|slot| record.state(slot));
    record.floor().max(record.trial_security()).0 > 1
        || moves && states.iter().any(|state| in_motion.contains(state))
}

/// The whole cells of a region.
fn cells(rig: &Rig, region: usize) -> Vec<Vec<u8>> {
    let (start, len, magic) = CELLS[region];
    let bytes = rig.flash.bytes_in(start..start + 2048);
    let is_whole = |cell: &&[u8]| {
        cell.starts_with(&magic) && cell[2] == 1 && cell.ends_with(&crc(&cell[..len - 4]).to_le_bytes())
    };
    bytes.chunks(len).filter(is_whole).map(<[u8]>::to_vec).collect()
}

fn word(cell: &[u8], at: usize) -> u32 {
    cell[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}

/// What real lives leave in the state regions, at every stage and at every cut of a move.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds =
        vec![vec![0], vec![1], vec![2], vec![0x81], vec![0x80, 0, 0, 0, 4, 0xA5, 0xA5, 0xA5, 0xA5]];
    for (number, strategy) in (0u8..).zip(STRATEGIES) {
        let mut rig = Rig::new(strategy, 1);
        let _ = rig.boot(ResetCause::PowerOn);
        seeds.push(recorded(&rig, number));
        rig.update(2, 3);
        seeds.push(recorded(&rig, number));
        if strategy.moves() {
            seeds.extend(cut_short(&rig).map(|rig| recorded(&rig, number)));
        }
        let _ = rig.boot(ResetCause::Software);
        seeds.push(recorded(&rig, number | 0x80));
        let mut failed = rig.twin(1);
        let _ = failed.boot(ResetCause::Watchdog);
        let _ = failed.fail(RollbackReason::SelfTest);
        seeds.push(recorded(&failed, number | 0x80));
        if strategy == Strategy::SwapOffset {
            seeds.extend(cut_short(&failed).map(|rig| recorded(&rig, number | 0x80)));
        }
        let _ = failed.boot(ResetCause::Software);
        seeds.push(recorded(&failed, number));
        let _ = rig.confirm();
        let _ = rig.boot(ResetCause::Software);
        seeds.push(recorded(&rig, number | 0x80));
        seeds.push(sealed_of(&rig, number | 0x80));
    }
    seeds
}

/// The next boot, cut at a few of its operations.
fn cut_short(rig: &Rig) -> impl Iterator<Item = Rig> {
    [6, 13, 22].into_iter().map(|operation| {
        let mut rig = rig.twin(1);
        rig.flash.cut(Cut { operation, mode: CutMode::FirstHalf });
        let _ = rig.boot(ResetCause::Software);
        rig.flash.power_on();
        rig
    })
}

/// The last cells of all three regions, as they are.
fn recorded(rig: &Rig, device: u8) -> Vec<u8> {
    let flash = rig.flash.bytes_in(0..GUARD.end);
    let mut seed = vec![device];
    for (start, len, _) in CELLS {
        let written: Vec<usize> =
            (start..start + 2048).step_by(len).filter(|at| flash[*at] != 0xFF).collect();
        for at in written.iter().rev().take(3).rev() {
            let offset = u16::try_from(*at).expect("a small flash").to_le_bytes();
            seed.extend([0, offset[0], offset[1], u8::try_from(len).expect("128 at most")]);
            seed.extend(&flash[*at..at + len]);
        }
    }
    seed
}

/// The newest record as a cell whose checksum follows every change.
fn sealed_of(rig: &Rig, device: u8) -> Vec<u8> {
    let record = rig.record().unwrap_or_else(Snapshot::blank).encode(7, false);
    [&[device, 1, 0, 0, 124][..], &record[..124]].concat()
}

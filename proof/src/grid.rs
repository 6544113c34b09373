//! The boards of the grid: what else a device may look like. About half of them are guarded.

use ota_slots::{Geometry, Strategy};

use crate::board::{Board, Wear};

/// Records before the life that bring a page change to each of its records on the small board.
pub const ALIGNMENTS: usize = 8;

/// All boards of the grid for one strategy.
#[must_use]
pub fn boards(strategy: Strategy) -> Vec<Board> {
    let small = || Board::small(strategy);
    let mut boards = Vec::new();
    for erased in [0xFF, 0x00] {
        for write_size in [1, 2, 4, 8, 16, 32] {
            let geometry = Geometry { erase_page: 1024, write_size, erased };
            let name = format!("write-{write_size}-erased-{erased:02x}");
            let guarded = write_size.trailing_zeros() % 2 == 1;
            boards.push(Board { geometry, guarded, ..small() }.named(&name));
        }
    }
    boards.push(Board { journal_pages: 3, ..small() }.guarded().named("three-journal-pages"));
    boards.push(Board { slot_pages: [16, 12], ..small() }.named("unequal-slots"));
    boards.push(Board { slot_pages: [12, 16], ..small() }.guarded().named("unequal-slots-turned"));
    boards.push(Board { chunk_log2: 8, ..small() }.guarded().named("chunks-below-a-page"));
    boards.push(Board { chunk_log2: 11, ..small() }.named("chunks-above-a-page"));
    boards.push(wide_pages(strategy));
    boards.extend((1..ALIGNMENTS).map(|records| aligned(strategy, records)));
    boards.extend(worn(strategy));
    boards.extend([corrected(strategy, false), corrected(strategy, true), two_chips(strategy)]);
    boards
}

/// A few of them, for a quick look.
#[must_use]
pub fn quick(strategy: Strategy) -> Vec<Board> {
    let few = [aligned(strategy, 3), aligned(strategy, 6), corrected(strategy, true), two_chips(strategy)];
    worn(strategy).into_iter().chain(few).collect()
}

/// The boards on which something is worn out.
#[must_use]
pub fn worn(strategy: Strategy) -> Vec<Board> {
    let small = || Board::small(strategy);
    let mut boards = vec![
        Board { wear: Wear::JournalCell, ..small() }.named("worn-journal-cell"),
        Board { wear: Wear::JournalPage, journal_pages: 3, ..small() }.guarded().named("worn-journal-page"),
    ];
    if strategy.moves() {
        boards.push(Board { wear: Wear::ProgressCell, ..small() }.named("worn-progress-cell"));
    }
    boards
}

/// The small board with the journal further on; guarded every second time.
#[must_use]
pub fn aligned(strategy: Strategy, records: usize) -> Board {
    let guarded = !records.is_multiple_of(2);
    if records == 0 {
        return Board::small(strategy);
    }
    Board { records, guarded, ..Board::small(strategy) }.named(&format!("journal-at-{records}"))
}

/// Error correction over 8 bytes, as STM32 parts have it.
#[must_use]
pub fn corrected(strategy: Strategy, guarded: bool) -> Board {
    let geometry = Geometry { erase_page: 1024, write_size: 8, erased: 0xFF };
    let name = if guarded { "corrects-errors-guarded" } else { "corrects-errors" };
    Board { geometry, corrects_errors: true, guarded, ..Board::small(strategy) }.named(name)
}

/// Slot B on a second chip, larger, with larger pages and single-byte writes.
#[must_use]
pub fn two_chips(strategy: Strategy) -> Board {
    let second_chip = Some(Geometry { erase_page: 4096, write_size: 1, erased: 0xFF });
    Board { second_chip, slot_pages: [16, 8], ..Board::small(strategy) }.guarded().named("two-chips")
}

fn wide_pages(strategy: Strategy) -> Board {
    let geometry = Geometry { erase_page: 2048, write_size: 8, erased: 0xFF };
    let images = [4096, 8192, 6144];
    Board { geometry, images, slot_pages: [8, 8], ..Board::small(strategy) }.named("whole-pages")
}

//! Which power cuts the peer's documentation claims to stand.

use embedded_storage::nor_flash::NorFlash as _;
use ota_slots::sim::{Cut, CutMode, Logged};

use crate::geometry::{PAGE, WORD};
use crate::meter::Simulated;

/// Whether a cut keeps to what the bootloader builds on: a word is written or it is not, and what is made of several
/// words may stop between them.
#[must_use]
pub fn cover(mode: CutMode, operation: Logged) -> bool {
    match (mode, operation) {
        (CutMode::Before | CutMode::After, _) => true,
        (CutMode::FirstHalf | CutMode::LastHalf, Logged::Erase { .. }) => true,
        (CutMode::FirstHalf | CutMode::LastHalf, Logged::Write { len, .. }) => {
            len as usize > WORD || keeps_a_word_whole(mode)
        }
        _ => false,
    }
}

/// Whether a mode draws lots, so that one life says little about it.
#[must_use]
pub fn draws_lots(mode: CutMode) -> bool {
    !matches!(mode, CutMode::Before | CutMode::After | CutMode::FirstHalf | CutMode::LastHalf)
}

/// Asked of the flash itself: half a word may count as a whole one, as none, or as half.
fn keeps_a_word_whole(mode: CutMode) -> bool {
    let mut flash = Simulated::new(PAGE, 0xFF, 1);
    flash.cut(Cut { operation: 0, mode });
    let _ = flash.write(0, &[0; WORD]);
    let word = &flash.bytes()[..WORD];
    word == [0; WORD] || word == [0xFF; WORD]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_page_is_claimed_and_an_undecided_word_is_not() {
        let (page, word) = (Logged::Write { at: 0, len: 4096 }, Logged::Write { at: 0, len: 4 });
        assert!(cover(CutMode::FirstHalf, page) && cover(CutMode::After, word));
        assert!(!cover(CutMode::Marginal, word) && !cover(CutMode::RandomWords, page));
    }
}

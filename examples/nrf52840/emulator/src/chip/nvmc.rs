//! NVMC, the controller of flash and UICR (product specification, "NVMC - Non-volatile memory controller").
//!
//! The core stands still while flash is written or erased, as it does when it executes from flash; time goes on. What the
//! specification forbids stops the run as a [`Misuse`].

use super::misuse::Misuse;
use super::peripheral::micros;

/// Cycles for a word (tWRITE).
pub(super) const WRITE: u64 = micros(41);
/// Cycles for a page (tERASEPAGE).
pub(super) const ERASE_PAGE: u64 = micros(85_000);
/// Cycles for all of flash (tERASEALL).
pub(super) const ERASE_ALL: u64 = micros(169_000);

/// What a write to a register asks of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Page(u32),
    /// One step of an erase in steps: the page, and whether it is the last.
    Partial {
        page: u32,
        cycles: u64,
        last: bool,
    },
    Uicr,
    All,
}

#[derive(Clone, Debug)]
pub(super) struct Nvmc {
    config: u32,
    /// Milliseconds of each step of an erase in steps.
    step: u32,
    /// The page being erased in steps, and the milliseconds so far.
    partial: Option<(u32, u32)>,
    cache: u32,
}

impl Default for Nvmc {
    fn default() -> Self {
        Self { config: 0, step: 10, partial: None, cache: 0 }
    }
}

/// CONFIG: write, and erase.
const WEN: u32 = 1;
const EEN: u32 = 2;

impl Nvmc {
    pub(super) const fn writes(&self) -> bool {
        self.config == WEN
    }

    pub(super) fn read(&self, offset: u32) -> Option<u32> {
        match offset {
            // READY and READYNEXT: the core waits where it would have to ask.
            0x400 | 0x408 => Some(1),
            0x504 => Some(self.config),
            0x51C => Some(self.step),
            0x540 => Some(self.cache),
            0x548 | 0x54C => Some(0),
            _ => None,
        }
    }

    /// What follows from a write, if the register is modelled.
    pub(super) fn write(&mut self, offset: u32, value: u32) -> Option<Result<Option<Request>, Misuse>> {
        let request = match offset {
            0x504 => {
                self.config = value & 3;
                return Some(Ok(None));
            }
            0x51C => {
                self.step = value & 0x7F;
                return Some(Ok(None));
            }
            0x540 => {
                self.cache = value & 0x101;
                return Some(Ok(None));
            }
            // Zero written to ERASEALL, ERASEUICR asks for nothing.
            0x50C | 0x514 if value & 1 == 0 => return Some(Ok(None)),
            _ if self.config != EEN => Err(Misuse::EraseNotEnabled(value)),
            // ERASEPAGE, and the older name of it.
            0x508 | 0x510 => page(value).map(Request::Page),
            0x518 => page(value).map(|page| self.partially(page)),
            0x50C => Ok(Request::All),
            0x514 => Ok(Request::Uicr),
            _ => return None,
        };
        Some(request.map(Some))
    }

    fn partially(&mut self, page: u32) -> Request {
        let before = self.partial.filter(|(erasing, _)| *erasing == page).map_or(0, |(_, millis)| millis);
        let millis = before + self.step;
        let last = micros(u64::from(millis) * 1000) >= ERASE_PAGE;
        self.partial = (!last).then_some((page, millis));
        Request::Partial { page, cycles: micros(u64::from(self.step) * 1000), last }
    }
}

/// Pages of code: UICR has an erase register of its own.
fn page(address: u32) -> Result<u32, Misuse> {
    let is_page = address.is_multiple_of(super::flash::PAGE) && address < super::flash::SIZE;
    if is_page { Ok(address) } else { Err(Misuse::EraseNotAPage(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_erased_unless_erasing_is_enabled() {
        let mut nvmc = Nvmc::default();
        assert_eq!(nvmc.write(0x508, 0x3000), Some(Err(Misuse::EraseNotEnabled(0x3000))));
        nvmc.write(0x504, WEN);
        assert_eq!(nvmc.write(0x508, 0x3000), Some(Err(Misuse::EraseNotEnabled(0x3000))));
        nvmc.write(0x504, EEN);
        assert!(!nvmc.writes());
        assert_eq!(nvmc.write(0x508, 0x3004), Some(Err(Misuse::EraseNotAPage(0x3004))));
        assert_eq!(nvmc.write(0x508, 0x1000_1000), Some(Err(Misuse::EraseNotAPage(0x1000_1000))));
        assert_eq!(nvmc.write(0x508, 0x3000), Some(Ok(Some(Request::Page(0x3000)))));
        assert_eq!(nvmc.write(0x514, 1), Some(Ok(Some(Request::Uicr))));
        assert_eq!(nvmc.write(0x50C, 0), Some(Ok(None)));
    }

    #[test]
    fn a_page_is_erased_once_the_steps_add_up() {
        let mut nvmc = Nvmc::default();
        nvmc.write(0x504, EEN);
        nvmc.write(0x51C, 40);
        let mut step = |page| match nvmc.write(0x518, page) {
            Some(Ok(Some(Request::Partial { last, .. }))) => last,
            other => panic!("{other:?}"),
        };
        assert_eq!([step(0x3000), step(0x3000), step(0x3000)], [false, false, true]);
        assert_eq!([step(0x3000), step(0x4000), step(0x3000)], [false; 3], "another page starts over");
    }
}

//! What firmware must not do, and a chip may bear today.

/// Something the product specification forbids, without saying what happens. It ends the run, so that a test sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misuse {
    /// A write to flash at this address although CONFIG does not enable writing.
    WriteNotEnabled(u32),
    /// A write to flash at this address that is not a whole, aligned word.
    WriteNotAWord(u32),
    /// An erase although CONFIG does not enable it; the value of the erase register.
    EraseNotEnabled(u32),
    /// Only the first of a page's addresses erases it.
    EraseNotAPage(u32),
    /// EasyDMA with a buffer that is not in RAM; its address.
    DmaOutsideRam(u32),
}

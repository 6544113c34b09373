//! FICR (product specification, "FICR - Factory information configuration registers"): what code asks of it, for one chip
//! of the kind; the rest reads as erased.

/// Where it begins.
pub(super) const BASE: u32 = 0x1000_0000;

pub(super) const fn read(address: u32) -> u32 {
    match address - BASE {
        // Page size and number of pages.
        0x010 => super::flash::PAGE,
        0x014 => super::flash::PAGES,
        // DEVICEID.
        0x060 => 0x0E0E_5284,
        0x064 => 0x5284_0E0E,
        // DEVICEADDRTYPE: random; DEVICEADDR.
        0x0A0 => 1,
        0x0A4 => 0xCAFE_5284,
        0x0A8 => 0xC0DE,
        // PART, VARIANT "AAF0", PACKAGE, RAM and flash in KiB.
        0x100 => 0x5_2840,
        0x104 => 0x4141_4630,
        0x108 => 0x2004,
        0x10C => 256,
        0x110 => 1024,
        // What errata workarounds look at: the part, and revision 3 of it.
        0x130 => 8,
        0x134 => 3,
        _ => u32::MAX,
    }
}

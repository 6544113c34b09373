//! What a linked 32-bit little-endian program takes, from its section headers and its symbols.

use anyhow::{Context, Result, ensure};

/// What a program takes on a device, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Code and constants: flash.
    pub(crate) text: u64,
    /// Initialised variables: flash and RAM.
    pub(crate) data: u64,
    /// Zeroed variables: RAM.
    pub(crate) bss: u64,
}

/// Section type: symbols.
const SYMBOLS: u32 = 2;
/// Section type: takes no space in the file.
const NO_BITS: u32 = 8;
/// Section type: tables for unwinding, which a device's linker script discards.
const ARM_UNWIND_INDEX: u32 = 0x7000_0001;
/// Section flag: written to at run time.
const WRITE: u32 = 1;
/// Section flag: takes memory at run time.
const ALLOC: u32 = 2;

impl Sizes {
    /// Sums the sections that take memory.
    ///
    /// # Errors
    ///
    /// When `elf` is not a complete 32-bit little-endian ELF file.
    pub(crate) fn read(elf: &[u8]) -> Result<Self> {
        ensure!(elf.starts_with(b"\x7fELF\x01\x01"), "not a 32-bit little-endian ELF file");
        let table = usize::try_from(word(elf, 0x20)?)?;
        let (entry, count) = (half(elf, 0x2e)?, half(elf, 0x30)?);
        let mut sizes = Self::default();
        for index in 0..count {
            let header = table + index * entry;
            let (kind, flags) = (word(elf, header + 4)?, word(elf, header + 8)?);
            let size = u64::from(word(elf, header + 20)?);
            if flags & ALLOC == 0 || kind == ARM_UNWIND_INDEX {
                continue;
            }
            if kind == NO_BITS {
                sizes.bss += size;
            } else if flags & WRITE != 0 {
                sizes.data += size;
            } else {
                sizes.text += size;
            }
        }
        Ok(sizes)
    }
}

/// A function of the program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'e> {
    /// As the linker knows it.
    pub(crate) name: &'e str,
    /// Its instructions.
    pub(crate) code: &'e [u8],
}

/// The functions of a program, from its table of symbols.
///
/// # Errors
///
/// When `elf` is not complete or has no such table.
pub(crate) fn functions(elf: &[u8]) -> Result<Vec<Function<'_>>> {
    let table = usize::try_from(word(elf, 0x20)?)?;
    let entry = half(elf, 0x2e)?;
    let section = |index: usize| table + index * entry;
    let headers = (0..half(elf, 0x30)?).map(section);
    let symbols = headers.into_iter().find(|header| matches!(word(elf, header + 4), Ok(SYMBOLS)));
    let symbols = symbols.context("the program has no symbols")?;
    let names = section(usize::try_from(word(elf, symbols + 24)?)?);
    let names = usize::try_from(word(elf, names + 16)?)?;
    let (start, size) = (word(elf, symbols + 16)?, word(elf, symbols + 20)?);
    let mut found = Vec::new();
    for at in (usize::try_from(start)?..usize::try_from(start + size)?).step_by(16) {
        // Type 2 in the low half of the byte is a function.
        if elf.get(at + 12).context("the file ends early")? & 0xF != 2 {
            continue;
        }
        let home = section(half(elf, at + 14)?);
        // The lowest bit of an address says that the code is Thumb.
        let offset = (word(elf, at + 4)? & !1) - word(elf, home + 12)? + word(elf, home + 16)?;
        let (offset, len) = (usize::try_from(offset)?, usize::try_from(word(elf, at + 8)?)?);
        let code = elf.get(offset..offset + len).context("the file ends early")?;
        let name = elf.get(names + usize::try_from(word(elf, at)?)?..).context("the file ends early")?;
        let end = name.iter().position(|byte| *byte == 0).context("a name does not end")?;
        found.push(Function { name: std::str::from_utf8(&name[..end])?, code });
    }
    Ok(found)
}

fn word(elf: &[u8], at: usize) -> Result<u32> {
    let bytes = elf.get(at..).and_then(|rest| rest.first_chunk()).context("the file ends early")?;
    Ok(u32::from_le_bytes(*bytes))
}

fn half(elf: &[u8], at: usize) -> Result<usize> {
    let bytes = elf.get(at..).and_then(|rest| rest.first_chunk()).context("the file ends early")?;
    Ok(usize::from(u16::from_le_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of a header and the given sections: type, flags, size.
    fn elf(sections: &[(u32, u32, u32)]) -> Vec<u8> {
        let mut elf = vec![0; 52];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        elf[0x20] = 52;
        elf[0x2e] = 40;
        elf[0x30] = u8::try_from(sections.len()).unwrap();
        for (kind, flags, size) in sections {
            let mut header = [0; 40];
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[8..12].copy_from_slice(&flags.to_le_bytes());
            header[20..24].copy_from_slice(&size.to_le_bytes());
            elf.extend(header);
        }
        elf
    }

    #[test]
    fn sections_are_summed_by_what_they_take_on_a_device() {
        let file = elf(&[
            (0, 0, 0),
            (1, 6, 1000),
            (1, 2, 200),
            (1, 3, 30),
            (8, 3, 4),
            (1, 0, 5000),
            (ARM_UNWIND_INDEX, 0x82, 16),
        ]);
        assert_eq!(Sizes::read(&file).unwrap(), Sizes { text: 1200, data: 30, bss: 4 });
    }

    #[test]
    fn other_and_cut_files_are_refused() {
        assert!(Sizes::read(b"").is_err());
        assert!(Sizes::read(b"\x7fELF\x02\x01").is_err());
        let file = elf(&[(1, 6, 1000)]);
        for end in 0..file.len() {
            // The last bytes of the only header are not read.
            assert!(Sizes::read(&file[..end]).is_err() || end >= 52 + 24, "{end}");
        }
    }
}

//! Reading linked programs: 32-bit little-endian ELF files, their segments and the names of their functions.

use std::fmt;

/// Why a file is no program for this chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// Not a 32-bit little-endian ELF file for ARM.
    Format,
    /// Something it points to lies behind its end.
    Truncated,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "not a 32-bit little-endian ELF file for ARM",
            Self::Truncated => "the file ends early",
        })
    }
}

impl std::error::Error for ElfError {}

#[derive(Clone)]
struct Function {
    address: u32,
    size: u32,
    name: String,
}

/// A linked program.
///
/// ```
/// use emulator::{ElfError, Program};
///
/// assert_eq!(Program::read(b"MZ").err(), Some(ElfError::Format));
/// ```
#[derive(Clone)]
pub struct Program {
    segments: Vec<(u32, Vec<u8>)>,
    /// By address.
    functions: Vec<Function>,
}

/// Program header type: to be loaded.
const LOAD: u32 = 1;
/// Section type: symbols.
const SYMBOLS: u32 = 2;
/// Symbol type: function.
const FUNCTION: u8 = 2;
/// Machine: ARM.
const ARM: u16 = 40;

impl Program {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ElfError`] if it is another kind of file, or not all of one. A file without symbols is fine.
    pub fn read(elf: &[u8]) -> Result<Self, ElfError> {
        if !elf.starts_with(b"\x7fELF\x01\x01") || half(elf, 0x12)? != ARM {
            return Err(ElfError::Format);
        }
        Ok(Self { segments: segments(elf)?, functions: functions(elf)? })
    }

    /// What to load: addresses and bytes.
    #[must_use]
    pub fn segments(&self) -> &[(u32, Vec<u8>)] {
        &self.segments
    }

    /// Addresses and names of the functions, as the linker knows them.
    pub fn functions(&self) -> impl Iterator<Item = (u32, &str)> {
        self.functions.iter().map(|function| (function.address, function.name.as_str()))
    }

    /// The address of the function of this name.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<u32> {
        self.functions().find(|(_, other)| *other == name).map(|(address, _)| address)
    }

    /// The function around an address and the distance from its start, such as `main+0x12`, or the address alone.
    #[must_use]
    pub fn place(&self, address: u32) -> String {
        let after = self.functions.partition_point(|function| function.address <= address);
        let function = after.checked_sub(1).and_then(|index| self.functions.get(index));
        match function.filter(|function| address - function.address < function.size.max(1)) {
            Some(function) => format!("{}+{:#x}", function.name, address - function.address),
            None => format!("{address:#010x}"),
        }
    }
}

fn segments(elf: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, ElfError> {
    let (table, size, count) = (word(elf, 0x1C)?, half(elf, 0x2A)?, half(elf, 0x2C)?);
    let mut segments = Vec::new();
    for index in 0..u32::from(count) {
        let header = table.checked_add(index * u32::from(size)).ok_or(ElfError::Truncated)?;
        let field = |offset: u32| word(elf, header.saturating_add(offset));
        let (kind, offset, address, len) = (field(0)?, field(4)?, field(12)?, field(16)?);
        if kind == LOAD && len > 0 {
            segments.push((address, bytes(elf, offset, len)?.to_vec()));
        }
    }
    Ok(segments)
}

fn functions(elf: &[u8]) -> Result<Vec<Function>, ElfError> {
    let (table, size, count) = (word(elf, 0x20)?, half(elf, 0x2E)?, half(elf, 0x30)?);
    let section =
        |index: u32| table.checked_add(index.saturating_mul(size.into())).ok_or(ElfError::Truncated);
    let mut functions = Vec::new();
    for index in 0..u32::from(count) {
        let header = section(index)?;
        if word(elf, header.saturating_add(4))? != SYMBOLS {
            continue;
        }
        let contents = |header: u32| {
            bytes(elf, word(elf, header.saturating_add(16))?, word(elf, header.saturating_add(20))?)
        };
        let names = contents(section(word(elf, header.saturating_add(24))?)?)?;
        for symbol in contents(header)?.chunks_exact(16) {
            if symbol[12] & 0xF == FUNCTION {
                // The lowest bit of an address says that the code is Thumb.
                let address = word(symbol, 4)? & !1;
                functions.push(Function {
                    address,
                    size: word(symbol, 8)?,
                    name: name(names, word(symbol, 0)?)?,
                });
            }
        }
    }
    functions.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
    Ok(functions)
}

fn name(names: &[u8], at: u32) -> Result<String, ElfError> {
    let name = names.get(at as usize..).ok_or(ElfError::Truncated)?;
    let end = name.iter().position(|byte| *byte == 0).ok_or(ElfError::Truncated)?;
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

fn bytes(elf: &[u8], at: u32, len: u32) -> Result<&[u8], ElfError> {
    let end = at.checked_add(len).ok_or(ElfError::Truncated)?;
    elf.get(at as usize..end as usize).ok_or(ElfError::Truncated)
}

fn word(elf: &[u8], at: u32) -> Result<u32, ElfError> {
    let bytes = elf.get(at as usize..).and_then(|rest| rest.first_chunk()).ok_or(ElfError::Truncated)?;
    Ok(u32::from_le_bytes(*bytes))
}

fn half(elf: &[u8], at: u32) -> Result<u16, ElfError> {
    let bytes = elf.get(at as usize..).and_then(|rest| rest.first_chunk()).ok_or(ElfError::Truncated)?;
    Ok(u16::from_le_bytes(*bytes))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A header, one segment at 0x8000, and the functions `main` and `idle` of two bytes each in it.
    pub(crate) fn elf() -> Vec<u8> {
        let mut elf = vec![0; 0x34];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        elf[0x12] = 40;
        let put =
            |elf: &mut Vec<u8>, words: &[u32]| elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        // The segment's header at 0x34, its bytes at 0x54.
        put(&mut elf, &[LOAD, 0x54, 0x2000_0000, 0x8000, 4, 4, 0, 0, 0xBF00_BF00]);
        // Symbols at 0x58, names at 0x78.
        put(&mut elf, &[6, 0x8003, 2, u32::from(FUNCTION), 1, 0x8001, 2, u32::from(FUNCTION)]);
        elf.extend(b"\0main\0idle\0\0\0\0\0\0");
        // Section headers at 0x88.
        put(&mut elf, &[0, SYMBOLS, 0, 0, 0x58, 32, 1, 0, 0, 16]);
        put(&mut elf, &[0, 3, 0, 0, 0x78, 11, 0, 0, 0, 0]);
        for (at, value) in [(0x1C, 0x34), (0x20, 0x88), (0x2A, 32), (0x2C, 1), (0x2E, 40), (0x30, 2)] {
            elf[at] = value;
        }
        elf
    }

    #[test]
    fn segments_are_loaded_where_they_lie_in_flash_and_functions_have_names() {
        let program = Program::read(&elf()).unwrap();
        assert_eq!(program.segments(), [(0x8000, vec![0x00, 0xBF, 0x00, 0xBF])]);
        assert_eq!(program.functions().collect::<Vec<_>>(), [(0x8000, "main"), (0x8002, "idle")]);
        assert_eq!(
            [0x8001, 0x8003, 0x8004, 0].map(|address| program.place(address)),
            ["main+0x1", "idle+0x1", "0x00008004", "0x00000000"]
        );
        assert_eq!((program.address("idle"), program.address("other")), (Some(0x8002), None));
    }

    #[test]
    fn other_and_cut_files_are_refused_and_nothing_panics() {
        let whole = elf();
        for end in 0..whole.len() {
            // What follows the last field that counts is not missed.
            assert!(Program::read(&whole[..end]).is_err() || end >= whole.len() - 16, "{end}");
        }
        for at in 0..whole.len() {
            for value in [0xFF, 0x80, 0] {
                let mut other = whole.clone();
                other[at] = value;
                let _ = Program::read(&other);
            }
        }
    }
}

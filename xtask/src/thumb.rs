//! Stack frames of Thumb-2 code, read from its instructions.
//!
//! A function's frame is what its prologue takes off the stack pointer: pushed registers and one subtraction. Constants that
//! stand between instructions are read as instructions too; that can only make a frame look larger.

/// Bytes of stack that a function takes for itself.
pub(crate) fn frame(code: &[u8]) -> u32 {
    let mut halves = code.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
    let mut bytes = 0;
    while let Some(first) = halves.next() {
        let second = if is_wide(first) { halves.next() } else { None };
        bytes += second.map_or_else(|| narrow(first), |second| wide(first, second));
    }
    bytes
}

/// Whether an instruction has a second half.
fn is_wide(first: u16) -> bool {
    first >> 11 >= 0b11101
}

fn narrow(instruction: u16) -> u32 {
    match instruction {
        // push {r0-r7, lr}
        0xB400..=0xB5FF => 4 * (instruction & 0x1FF).count_ones(),
        // sub sp, #4n
        0xB080..=0xB0FF => 4 * u32::from(instruction & 0x7F),
        _ => 0,
    }
}

fn wide(first: u16, second: u16) -> u32 {
    let immediate = u32::from((first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF);
    let to_sp = second & 0x8F00 == 0x0D00;
    match first {
        // stmdb sp!, {...}
        0xE92D => 4 * second.count_ones(),
        // str rn, [sp, #-4]!
        0xF84D if second & 0x0FFF == 0x0D04 => 4,
        // sub.w sp, sp, #rotated
        first if first & 0xFBEF == 0xF1AD && to_sp => expand(immediate),
        // subw sp, sp, #plain
        first if first & 0xFBFF == 0xF2AD && to_sp => immediate,
        // sub.w sp, sp, rn: longer than any constant
        0xEBAD if second & 0x0F00 == 0x0D00 => u32::MAX / 2,
        _ => 0,
    }
}

/// A "modified immediate constant" (ARM v7-M, A5.3.2).
fn expand(immediate: u32) -> u32 {
    let byte = immediate & 0xFF;
    match immediate >> 8 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte << 24 | byte << 16 | byte << 8 | byte,
        _ => (0x80 | immediate & 0x7F).rotate_right(immediate >> 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(halves: &[u16]) -> Vec<u8> {
        halves.iter().flat_map(|half| half.to_le_bytes()).collect()
    }

    #[test]
    fn prologues_are_added_up() {
        // push {r4-r7, lr}; add r7, sp, #12; stmdb sp!, {r8, r9, sl, fp}; sub sp, #84
        assert_eq!(frame(&code(&[0xB5F0, 0xAF03, 0xE92D, 0x0F00, 0xB095])), 20 + 16 + 84);
        // push {r7, lr}; str.w fp, [sp, #-4]!; sub sp, #256 (0x100)
        assert_eq!(frame(&code(&[0xB580, 0xF84D, 0xBD04, 0xB0C0])), 8 + 4 + 256);
        // sub.w sp, sp, #3264 (0xcc0); subw sp, sp, #1036
        assert_eq!(frame(&code(&[0xF5AD, 0x6D4C])), 0xCC0);
        assert_eq!(frame(&code(&[0xF2AD, 0x4D0C])), 1036);
        assert!(frame(&code(&[0xEBAD, 0x0D04])) > 1 << 20, "by a register");
        assert_eq!(frame(&code(&[0x4770])), 0, "bx lr");
    }
}

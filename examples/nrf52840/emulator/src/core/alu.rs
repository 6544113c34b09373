//! Arithmetic on values alone: sums with carry and overflow, shifts, saturation (A2.2.1, A7.4.2).

use super::op::{Shift, ShiftKind};

/// A sum and what it left behind.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub(super) value: u32,
    pub(super) carry: bool,
    pub(super) overflow: bool,
}

/// `AddWithCarry`.
#[inline]
pub(super) fn add(x: u32, y: u32, carry: bool) -> Sum {
    let (partial, first) = x.overflowing_add(y);
    let (value, second) = partial.overflowing_add(u32::from(carry));
    Sum { value, carry: first | second, overflow: ((x ^ value) & (y ^ value)) >> 31 != 0 }
}

/// `Shift_C`: the value and the carry out. An amount of zero keeps both.
#[inline]
pub(super) fn shift(value: u32, shift: Shift, carry: bool) -> (u32, bool) {
    let n = u32::from(shift.amount);
    if n == 0 {
        return (value, carry);
    }
    match shift.kind {
        ShiftKind::Lsl if n < 32 => (value << n, value >> (32 - n) & 1 != 0),
        ShiftKind::Lsl => (0, n == 32 && value & 1 != 0),
        ShiftKind::Lsr if n < 32 => (value >> n, value >> (n - 1) & 1 != 0),
        ShiftKind::Lsr => (0, n == 32 && value >> 31 != 0),
        ShiftKind::Asr => {
            let n = n.min(32);
            let wide = i64::from(value.cast_signed());
            (low((wide >> n).cast_unsigned()), wide >> (n - 1) & 1 != 0)
        }
        ShiftKind::Ror => {
            let rotated = value.rotate_right(n & 31);
            (rotated, rotated >> 31 != 0)
        }
        ShiftKind::Rrx => (u32::from(carry) << 31 | value >> 1, value & 1 != 0),
    }
}

/// The low word.
#[inline]
pub(super) const fn low(value: u64) -> u32 {
    (value & 0xFFFF_FFFF) as u32
}

/// The low word of a signed value.
#[inline]
pub(super) const fn low_signed(value: i64) -> u32 {
    low(value.cast_unsigned())
}

/// A word as a signed wide number.
#[inline]
pub(super) fn signed(value: u32) -> i64 {
    i64::from(value.cast_signed())
}

/// The lower or upper half of a word, signed.
#[inline]
pub(super) fn half(value: u32, top: bool) -> i64 {
    signed(if top { value } else { value << 16 }) >> 16
}

/// The nearest number of `bits` bits, and whether that is another.
pub(super) fn saturate(value: i64, bits: u8, is_signed: bool) -> (u32, bool) {
    let (least, most) = if is_signed {
        (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1)
    } else {
        (0, (1_i64 << bits) - 1)
    };
    let near = value.clamp(least, most);
    (low_signed(near), near != value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_by_a_word_and_more_leave_the_last_bit_in_the_carry() {
        let by = |kind, amount| shift(0x8000_0001, Shift { kind, amount }, false);
        assert_eq!(by(ShiftKind::Lsl, 32), (0, true));
        assert_eq!(by(ShiftKind::Lsl, 33), (0, false));
        assert_eq!(by(ShiftKind::Lsr, 32), (0, true));
        assert_eq!(by(ShiftKind::Asr, 200), (u32::MAX, true));
        assert_eq!(by(ShiftKind::Ror, 32), (0x8000_0001, true));
        assert_eq!(by(ShiftKind::Rrx, 1), (0x4000_0000, true));
    }

    #[test]
    fn saturation_stops_at_both_ends_and_tells() {
        assert_eq!(saturate(128, 8, true), (127, true));
        assert_eq!(saturate(-129, 8, true), (0xFFFF_FF80, true));
        assert_eq!(saturate(-1, 8, false), (0, true));
        assert_eq!(saturate(255, 8, false), (255, false));
        assert_eq!(saturate(5, 0, false), (0, true));
    }
}

//! Single-precision arithmetic to the letter (A2.5): all rounding modes, NaNs, subnormal numbers and the cumulative flags.
//!
//! The host's own arithmetic rounds only to nearest, picks other NaNs and hides the flags. Here each result is computed
//! exactly, as an integer times a power of two, and then rounded once.

/// Cumulative exceptions, as bits of FPSCR.
mod flag {
    pub(super) const INVALID: u32 = 1;
    pub(super) const DIVIDE_BY_ZERO: u32 = 1 << 1;
    pub(super) const OVERFLOW: u32 = 1 << 2;
    pub(super) const UNDERFLOW: u32 = 1 << 3;
    pub(super) const INEXACT: u32 = 1 << 4;
    pub(super) const INPUT_SUBNORMAL: u32 = 1 << 7;
}

const SIGN: u32 = 1 << 31;
const INFINITY: u32 = 0x7F80_0000;
const QUIET: u32 = 1 << 22;
const DEFAULT_NAN: u32 = INFINITY | QUIET;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Nearest,
    Up,
    Down,
    Zero,
}

/// The arithmetic unit under one FPSCR; flags accumulate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) rounding: Rounding,
    /// FZ: subnormal numbers are zeros.
    flush: bool,
    /// DN: every NaN is the default one.
    default_nan: bool,
    /// AHP: halves without infinities and NaNs.
    alternative_half: bool,
    pub(super) flags: u32,
    /// Exact halves go up: see [`super::Defect::Rounding`].
    pub(super) halves_up: bool,
}

/// Significand bits behind the point, and the exponent of the smallest normal number.
#[derive(Clone, Copy)]
struct Format {
    fraction: i32,
    least: i32,
}

const SINGLE: Format = Format { fraction: 23, least: -126 };
const HALF: Format = Format { fraction: 10, least: -14 };

/// A finite number: `significand` times two to the `exponent`.
#[derive(Clone, Copy, Debug)]
struct Finite {
    negative: bool,
    significand: u128,
    exponent: i32,
}

#[derive(Clone, Copy, Debug)]
enum Number {
    Finite(Finite),
    Infinity { negative: bool },
    Nan,
}

const fn is_nan(x: u32) -> bool {
    x & !SIGN > INFINITY
}

const fn is_signalling(x: u32) -> bool {
    is_nan(x) && x & QUIET == 0
}

const fn zero(negative: bool) -> u32 {
    if negative { SIGN } else { 0 }
}

const fn infinity(negative: bool) -> u32 {
    zero(negative) | INFINITY
}

/// Shifts right; what falls off leaves its mark in the lowest bit.
fn jam(value: u128, by: i32) -> u128 {
    match by {
        ..=0 => value,
        1..128 => value >> by | u128::from(value & ((1 << by) - 1) != 0),
        _ => u128::from(value != 0),
    }
}

impl Unit {
    pub(super) fn new(fpscr: u32, halves_up: bool) -> Self {
        let rounding = [Rounding::Nearest, Rounding::Up, Rounding::Down, Rounding::Zero];
        Self {
            rounding: rounding[(fpscr >> 22 & 3) as usize],
            flush: fpscr >> 24 & 1 != 0,
            default_nan: fpscr >> 25 & 1 != 0,
            alternative_half: fpscr >> 26 & 1 != 0,
            flags: 0,
            halves_up,
        }
    }

    /// `FPUnpack`.
    fn unpack(&mut self, x: u32) -> Number {
        let negative = x & SIGN != 0;
        let (biased, fraction) = ((x >> 23 & 0xFF).cast_signed(), u128::from(x & 0x007F_FFFF));
        match (biased, fraction) {
            (0xFF, 0) => Number::Infinity { negative },
            (0xFF, _) => Number::Nan,
            (0, 0) => Number::Finite(Finite { negative, significand: 0, exponent: 0 }),
            (0, _) if self.flush => {
                self.flags |= flag::INPUT_SUBNORMAL;
                Number::Finite(Finite { negative, significand: 0, exponent: 0 })
            }
            (0, _) => Number::Finite(Finite { negative, significand: fraction, exponent: -149 }),
            _ => Number::Finite(Finite { negative, significand: fraction | 1 << 23, exponent: biased - 150 }),
        }
    }

    /// `FPProcessNaNs`: the first that signals, else the first.
    fn nan(&mut self, operands: &[u32]) -> u32 {
        let signalling = operands.iter().find(|x| is_signalling(**x));
        if signalling.is_some() {
            self.flags |= flag::INVALID;
        }
        let chosen = signalling.or_else(|| operands.iter().find(|x| is_nan(**x)));
        match chosen {
            Some(nan) if !self.default_nan => nan | QUIET,
            _ => DEFAULT_NAN,
        }
    }

    fn invalid(&mut self) -> u32 {
        self.flags |= flag::INVALID;
        DEFAULT_NAN
    }

    /// Whether the part of a number that is cut off makes the rest grow by one.
    fn grows(&self, negative: bool, kept: u128, cut: u128, half: u128) -> bool {
        match self.rounding {
            Rounding::Nearest => cut > half || cut == half && (kept & 1 != 0 || self.halves_up),
            Rounding::Up => !negative && cut != 0,
            Rounding::Down => negative && cut != 0,
            Rounding::Zero => false,
        }
    }

    /// The integer nearest to `value` times two to the `exponent`, and whether it is another.
    fn nearest_integer(&self, negative: bool, value: u128, exponent: i32) -> (u128, bool) {
        if exponent >= 0 {
            return (value << exponent.min(100), false);
        }
        let (value, by) =
            if exponent < -120 { (jam(value, -exponent - 120), 120) } else { (value, -exponent) };
        let (kept, cut, half) = (value >> by, value & ((1 << by) - 1), 1 << (by - 1));
        (kept + u128::from(self.grows(negative, kept, cut, half)), cut != 0)
    }

    /// `FPRound`, in the bits of the format but for the sign: the fields, or nothing on overflow.
    fn round(&mut self, number: Finite, format: Format) -> Option<u32> {
        let Finite { negative, significand, exponent } = number;
        if significand == 0 {
            return Some(0);
        }
        let length = 128 - significand.leading_zeros().cast_signed();
        let leading = exponent + length - 1;
        let tiny = leading < format.least;
        if tiny && self.flush && format.fraction == SINGLE.fraction {
            self.flags |= flag::UNDERFLOW;
            return Some(0);
        }
        let lowest = leading.max(format.least) - format.fraction;
        let (kept, inexact) = self.nearest_integer(negative, significand, exponent - lowest);
        if inexact {
            self.flags |= flag::INEXACT | if tiny { flag::UNDERFLOW } else { 0 };
        }
        // A carry out of the significand goes into the exponent by itself, from subnormal to normal included.
        let hidden = 1_u128 << format.fraction;
        let biased = lowest + format.fraction - format.least + 1;
        let base = if kept >= hidden { u128::from(biased.unsigned_abs()) * hidden } else { hidden };
        let fields = base + kept - hidden;
        // The largest exponent stands for infinity; the alternative halves have numbers there.
        let special = u128::from(format.least.unsigned_abs()) * 2 + 3;
        let first_special = if self.alternative_half && format.fraction == HALF.fraction {
            (special + 1) * hidden
        } else {
            special * hidden
        };
        (fields < first_special).then(|| low32(fields))
    }

    /// Rounds to single precision.
    fn single(&mut self, number: Finite) -> u32 {
        let sign = zero(number.negative);
        match self.round(number, SINGLE) {
            Some(fields) => sign | fields,
            None => sign | self.overflowed(number.negative, INFINITY),
        }
    }

    /// Infinity or the largest number before it, by the direction of rounding.
    fn overflowed(&mut self, negative: bool, infinity: u32) -> u32 {
        self.flags |= flag::OVERFLOW | flag::INEXACT;
        let to_infinity = match self.rounding {
            Rounding::Nearest => true,
            Rounding::Up => !negative,
            Rounding::Down => negative,
            Rounding::Zero => false,
        };
        if to_infinity { infinity } else { infinity - 1 }
    }

    pub(super) fn add(&mut self, x: u32, y: u32) -> u32 {
        match (self.unpack(x), self.unpack(y)) {
            (Number::Nan, _) | (_, Number::Nan) => self.nan(&[x, y]),
            (Number::Infinity { negative: a }, Number::Infinity { negative: b }) if a != b => self.invalid(),
            (Number::Infinity { negative }, _) | (_, Number::Infinity { negative }) => infinity(negative),
            (Number::Finite(a), Number::Finite(b)) => self.sum(a, b),
        }
    }

    fn sum(&mut self, a: Finite, b: Finite) -> u32 {
        if a.significand == 0 && b.significand == 0 {
            return zero(if a.negative == b.negative { a.negative } else { self.rounding == Rounding::Down });
        }
        let total = exact_sum(a, b);
        if total.significand == 0 {
            return zero(self.rounding == Rounding::Down);
        }
        self.single(total)
    }

    /// Not the sum with `y` negated: a NaN keeps its sign.
    pub(super) fn sub(&mut self, x: u32, y: u32) -> u32 {
        self.add(x, if is_nan(y) { y } else { y ^ SIGN })
    }

    pub(super) fn mul(&mut self, x: u32, y: u32) -> u32 {
        let negative = (x ^ y) & SIGN != 0;
        match (self.unpack(x), self.unpack(y)) {
            (Number::Nan, _) | (_, Number::Nan) => self.nan(&[x, y]),
            (Number::Infinity { .. }, Number::Finite(zero))
            | (Number::Finite(zero), Number::Infinity { .. })
                if zero.significand == 0 =>
            {
                self.invalid()
            }
            (Number::Finite(a), Number::Finite(b)) => self.single(exact_product(a, b)),
            _ => infinity(negative),
        }
    }

    pub(super) fn div(&mut self, x: u32, y: u32) -> u32 {
        let negative = (x ^ y) & SIGN != 0;
        match (self.unpack(x), self.unpack(y)) {
            (Number::Nan, _) | (_, Number::Nan) => self.nan(&[x, y]),
            (Number::Infinity { .. }, Number::Infinity { .. }) => self.invalid(),
            (Number::Infinity { .. }, _) => infinity(negative),
            (_, Number::Infinity { .. }) => zero(negative),
            (Number::Finite(a), Number::Finite(b)) => match (a.significand, b.significand) {
                (0, 0) => self.invalid(),
                (0, _) => zero(negative),
                (_, 0) => {
                    self.flags |= flag::DIVIDE_BY_ZERO;
                    infinity(negative)
                }
                (n, d) => {
                    let scaled = n << 64;
                    let significand = (scaled / d) | u128::from(scaled % d != 0);
                    self.single(Finite { negative, significand, exponent: a.exponent - b.exponent - 64 })
                }
            },
        }
    }

    pub(super) fn sqrt(&mut self, x: u32) -> u32 {
        match self.unpack(x) {
            Number::Nan => self.nan(&[x]),
            Number::Finite(a) if a.significand == 0 => zero(a.negative),
            Number::Infinity { negative: true } | Number::Finite(Finite { negative: true, .. }) => {
                self.invalid()
            }
            Number::Infinity { .. } => INFINITY,
            Number::Finite(a) => {
                let odd = a.exponent & 1;
                let scaled = a.significand << (64 + odd);
                let root = scaled.isqrt();
                let significand = root << 1 | u128::from(root * root != scaled);
                let exponent = (a.exponent - odd - 64) / 2 - 1;
                self.single(Finite { negative: false, significand, exponent })
            }
        }
    }

    /// `FPMulAdd`: `d + x * y`, rounded once.
    pub(super) fn mul_add(&mut self, d: u32, x: u32, y: u32) -> u32 {
        let (addend, a, b) = (self.unpack(d), self.unpack(x), self.unpack(y));
        let zero_by_infinity = matches!(
            (a, b),
            (Number::Infinity { .. }, Number::Finite(Finite { significand: 0, .. }))
                | (Number::Finite(Finite { significand: 0, .. }), Number::Infinity { .. })
        );
        if zero_by_infinity && !is_signalling(d) {
            return self.invalid();
        }
        let negative = (x ^ y) & SIGN != 0;
        let product_infinite = matches!(a, Number::Infinity { .. }) || matches!(b, Number::Infinity { .. });
        match (addend, a, b) {
            (Number::Nan, ..) | (_, Number::Nan, _) | (.., Number::Nan) => self.nan(&[d, x, y]),
            (Number::Infinity { negative: other }, ..) if product_infinite && other != negative => {
                self.invalid()
            }
            (Number::Infinity { negative }, ..) => infinity(negative),
            (Number::Finite(c), Number::Finite(a), Number::Finite(b)) => self.sum(c, exact_product(a, b)),
            _ => infinity(negative),
        }
    }

    /// `FPCompare`: N, Z, C and V as the upper bits of FPSCR.
    pub(super) fn compare(&mut self, x: u32, y: u32, signal: bool) -> u32 {
        let (a, b) = (self.unpack(x), self.unpack(y));
        if matches!(a, Number::Nan) || matches!(b, Number::Nan) {
            if signal || is_signalling(x) || is_signalling(y) {
                self.flags |= flag::INVALID;
            }
            return 3 << 28;
        }
        let order = |number, bits: u32| match number {
            Number::Finite(Finite { significand: 0, .. }) => 0,
            _ if bits & SIGN != 0 => -(bits & !SIGN).cast_signed(),
            _ => bits.cast_signed(),
        };
        match order(a, x).cmp(&order(b, y)) {
            std::cmp::Ordering::Less => 8 << 28,
            std::cmp::Ordering::Equal => 6 << 28,
            std::cmp::Ordering::Greater => 2 << 28,
        }
    }

    /// `FPToFixed`: the number times two to the `fraction`, as an integer of `bits` bits.
    pub(super) fn fixed_point(&mut self, x: u32, is_signed: bool, bits: u32, fraction: u8) -> u32 {
        let (negative, (magnitude, inexact)) = match self.unpack(x) {
            Number::Nan => {
                self.flags |= flag::INVALID;
                return 0;
            }
            Number::Infinity { negative } => (negative, (1 << 80, false)),
            Number::Finite(Finite { negative, significand, exponent }) => {
                (negative, self.nearest_integer(negative, significand, exponent + i32::from(fraction)))
            }
        };
        let top = if is_signed { bits - 1 } else { bits };
        let most = match (negative, is_signed) {
            (false, _) => (1_u128 << top) - 1,
            (true, true) => 1 << top,
            (true, false) => 0,
        };
        let near = magnitude.min(most);
        if near != magnitude {
            self.flags |= flag::INVALID;
        } else if inexact {
            self.flags |= flag::INEXACT;
        }
        let word = low32(near);
        if negative { word.wrapping_neg() } else { word }
    }

    /// `FixedToFP`: an integer divided by two to the `fraction`.
    pub(super) fn of_fixed_point(&mut self, value: i64, fraction: u8) -> u32 {
        let significand = u128::from(value.unsigned_abs());
        self.single(Finite { negative: value < 0, significand, exponent: -i32::from(fraction) })
    }

    /// `FPHalfToSingle`.
    pub(super) fn widen(&mut self, half: u32) -> u32 {
        let (negative, exponent, fraction) = (half & 0x8000 != 0, half >> 10 & 31, half & 0x3FF);
        if exponent == 31 && !self.alternative_half {
            let wide = infinity(negative) | fraction << 13;
            return if fraction == 0 { wide } else { self.nan(&[wide]) };
        }
        let (significand, exponent) =
            if exponent == 0 { (fraction, -24) } else { (fraction | 0x400, exponent.cast_signed() - 25) };
        let number = Finite { negative, significand: u128::from(significand), exponent };
        self.single(number)
    }

    /// `FPSingleToHalf`.
    pub(super) fn narrow(&mut self, x: u32) -> u32 {
        let sign = x >> 16 & 0x8000;
        match self.unpack(x) {
            Number::Nan if self.alternative_half => {
                self.flags |= flag::INVALID;
                sign
            }
            Number::Nan => {
                let nan = self.nan(&[x]);
                nan >> 16 & 0x8000 | 0x7E00 | nan >> 13 & 0x1FF
            }
            Number::Infinity { .. } if self.alternative_half => {
                self.flags |= flag::INVALID;
                sign | 0x7FFF
            }
            Number::Infinity { .. } => sign | 0x7C00,
            Number::Finite(number) => {
                let before = self.flags;
                match self.round(number, HALF) {
                    Some(fields) => sign | fields,
                    None if self.alternative_half => {
                        self.flags = before | flag::INVALID;
                        sign | 0x7FFF
                    }
                    None => sign | self.overflowed(number.negative, 0x7C00),
                }
            }
        }
    }
}

fn low32(value: u128) -> u32 {
    (value & 0xFFFF_FFFF) as u32
}

fn exact_product(a: Finite, b: Finite) -> Finite {
    Finite {
        negative: a.negative != b.negative,
        significand: a.significand * b.significand,
        exponent: a.exponent + b.exponent,
    }
}

/// Exact but for bits so far below the leading one that only their presence matters.
fn exact_sum(a: Finite, b: Finite) -> Finite {
    /// More than a significand and the guard bits; less than what fits beside a product.
    const FAR: i32 = 70;
    // A zero has no exponent of its own, and must not drag the other's significand away.
    if a.significand == 0 || b.significand == 0 {
        return if a.significand == 0 { b } else { a };
    }
    let (high, low) = if a.exponent >= b.exponent { (a, b) } else { (b, a) };
    let apart = high.exponent - low.exponent;
    let shift = apart.min(FAR);
    let (large, small) = (high.significand << shift, jam(low.significand, apart - shift));
    let exponent = high.exponent - shift;
    if high.negative == low.negative {
        return Finite { negative: high.negative, significand: large + small, exponent };
    }
    let negative = if large >= small { high.negative } else { low.negative };
    Finite { negative, significand: large.abs_diff(small), exponent }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of all kinds, and many at random.
    fn samples() -> Vec<u32> {
        let mut all = vec![
            0,
            SIGN,
            1,
            0x007F_FFFF,
            0x0080_0000,
            0x3F80_0000,
            0xBF80_0000,
            0x7F7F_FFFF,
            INFINITY,
            INFINITY | SIGN,
            0x3380_0000,
            0x3400_0000,
            0x4B00_0001,
            0x4F00_0000,
            0x5F00_0000,
        ];
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        for _ in 0..300 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            all.push(super::super::alu::low(state));
        }
        all
    }

    fn same(ours: u32, hosts: f32) -> bool {
        ours == hosts.to_bits() || is_nan(ours) && hosts.is_nan()
    }

    #[test]
    fn rounding_to_nearest_agrees_with_the_hosts_arithmetic() {
        let mut unit = Unit::new(0, false);
        let samples = samples();
        for &x in &samples {
            let a = f32::from_bits(x);
            assert!(same(unit.sqrt(x), a.sqrt()), "sqrt {x:08x}");
            for &y in &samples {
                let b = f32::from_bits(y);
                assert!(same(unit.add(x, y), a + b), "{x:08x} + {y:08x}");
                assert!(same(unit.mul(x, y), a * b), "{x:08x} * {y:08x}");
                assert!(same(unit.div(x, y), a / b), "{x:08x} / {y:08x}");
                assert!(same(unit.mul_add(x, y, x), b.mul_add(a, a)), "{x:08x} + {x:08x} * {y:08x}");
            }
        }
    }

    #[test]
    fn flags_tell_what_happened() {
        let flags = |operation: fn(&mut Unit) -> u32| {
            let mut unit = Unit::new(0, false);
            operation(&mut unit);
            unit.flags
        };
        assert_eq!(flags(|unit| unit.add(0x3F80_0000, 0x3F80_0000)), 0);
        assert_eq!(flags(|unit| unit.add(0x3F80_0000, 1)), flag::INEXACT);
        assert_eq!(flags(|unit| unit.div(0x3F80_0000, 0)), flag::DIVIDE_BY_ZERO);
        assert_eq!(flags(|unit| unit.mul(0x7F00_0000, 0x7F00_0000)), flag::OVERFLOW | flag::INEXACT);
        assert_eq!(flags(|unit| unit.mul(0x0080_0001, 0x3F00_0000)), flag::UNDERFLOW | flag::INEXACT);
        assert_eq!(flags(|unit| unit.sqrt(0xBF80_0000)), flag::INVALID);
        assert_eq!(flags(|unit| unit.fixed_point(0x4F80_0000, true, 32, 0)), flag::INVALID);
    }
}

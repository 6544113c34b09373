//! Extension, parallel arithmetic, reversal.

use super::super::Core;
use super::super::alu::{low_signed, saturate, signed};
use super::super::op::{Excess, Extend, Lanes, Media, Reverse};

impl Core {
    pub(super) fn media(&mut self, media: &Media) {
        match *media {
            Media::Extend { kind, d, n, m, rotate } => {
                let extended = extend(kind, self.get(m).rotate_right(u32::from(rotate)));
                let value = match (n, kind) {
                    (15, _) => extended,
                    (_, Extend::SignedBytes | Extend::Bytes) => add_halves(self.get(n), extended),
                    _ => self.get(n).wrapping_add(extended),
                };
                self.put(d, value);
            }
            Media::Parallel { lanes, excess, signed, d, n, m } => {
                let (x, y) = self.both(n, m);
                let (value, ge) = parallel(lanes, excess, signed, x, y);
                self.put(d, value);
                if excess == Excess::Wrap {
                    self.status.ge = ge;
                }
            }
            Media::Saturating { subtract, double, d, n, m } => {
                let (x, y) = self.both(n, m);
                let x = if double { signed(self.saturated(signed(x) * 2)) } else { signed(x) };
                let value = self.saturated(if subtract { signed(y) - x } else { signed(y) + x });
                self.put(d, value);
            }
            Media::Reverse { kind, d, m } => {
                let x = self.get(m);
                let value = match kind {
                    Reverse::Bytes => x.swap_bytes(),
                    Reverse::BytesInHalves => x.swap_bytes().rotate_right(16),
                    Reverse::Bits => x.reverse_bits(),
                    Reverse::SignedHalf => low_signed(signed(x.swap_bytes()) >> 16),
                };
                self.put(d, value);
            }
            Media::Select { d, n, m } => {
                let (x, y) = self.both(n, m);
                let lanes = (0..4).filter(|lane| self.status.ge >> lane & 1 != 0);
                let mask = lanes.fold(0, |mask, lane| mask | 0xFF << (lane * 8));
                self.put(d, x & mask | y & !mask);
            }
            Media::LeadingZeros { d, m } => self.put(d, self.get(m).leading_zeros()),
        }
    }
}

fn extend(kind: Extend, value: u32) -> u32 {
    let signed_byte = |value: u32| ((value << 24).cast_signed() >> 24).cast_unsigned();
    match kind {
        Extend::SignedHalf => ((value << 16).cast_signed() >> 16).cast_unsigned(),
        Extend::Half => value & 0xFFFF,
        Extend::SignedBytes => signed_byte(value) & 0xFFFF | signed_byte(value >> 16) << 16,
        Extend::Bytes => value & 0x00FF_00FF,
        Extend::SignedByte => signed_byte(value),
        Extend::Byte => value & 0xFF,
    }
}

/// Two sums that do not touch each other.
fn add_halves(x: u32, y: u32) -> u32 {
    x.wrapping_add(y) & 0xFFFF | (x >> 16).wrapping_add(y >> 16) << 16
}

/// The lanes' results, and the GE flags.
fn parallel(lanes: Lanes, excess: Excess, is_signed: bool, x: u32, y: u32) -> (u32, u8) {
    let bytes = matches!(lanes, Lanes::Add8 | Lanes::Sub8);
    let (width, count) = if bytes { (8_u8, 4_u8) } else { (16, 2) };
    let mask = u32::MAX >> (32 - width);
    let lane = |value: u32, index: u8| {
        let raw = value >> (index * width) & mask;
        if is_signed { signed(raw << (32 - width)) >> (32 - width) } else { i64::from(raw) }
    };
    let (mut value, mut ge) = (0, 0);
    for index in 0..count {
        let crossed = matches!(lanes, Lanes::AddSubtract | Lanes::SubtractAdd);
        let subtract = match lanes {
            Lanes::Add8 | Lanes::Add16 => false,
            Lanes::Sub8 | Lanes::Sub16 => true,
            // "Add, subtract" names the upper half first.
            Lanes::AddSubtract => index == 0,
            Lanes::SubtractAdd => index == 1,
        };
        let (a, b) = (lane(x, index), lane(y, if crossed { 1 - index } else { index }));
        let exact = if subtract { a - b } else { a + b };
        let told = if is_signed || subtract { exact >= 0 } else { exact >> width != 0 };
        if told {
            ge |= if bytes { 1 << index } else { 3 << (index * 2) };
        }
        let result = match excess {
            Excess::Wrap => low_signed(exact),
            Excess::Saturate => saturate(exact, width, is_signed).0,
            Excess::Halve => low_signed(exact >> 1),
        };
        value |= (result & mask) << (index * width);
    }
    (value, ge)
}

//! Messages on a byte stream: COBS between zeros, so that a receiver finds the next frame after any damage, and CRC-32,
//! so that damage is noticed. A number in each frame tells which question an answer belongs to.

use crc::{CRC_32_ISO_HDLC, Crc};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Longest run of bytes that COBS writes behind one code.
const RUN: usize = 254;
/// Longer than any frame of this rig.
const LONGEST: usize = 16 * 1024;

/// A frame: zero, the coded bytes, zero. The zero in front ends whatever was cut off before.
#[must_use]
pub fn wrap(tag: u32, message: &[u8]) -> Vec<u8> {
    let mut plain = tag.to_le_bytes().to_vec();
    plain.extend_from_slice(message);
    plain.extend_from_slice(&CRC.checksum(&plain).to_le_bytes());
    let mut frame = vec![0];
    plain.split(|byte| *byte == 0).for_each(|part| encode_part(part, &mut frame));
    frame.push(0);
    frame
}

/// One stretch without zeros, and the zero behind it.
fn encode_part(part: &[u8], frame: &mut Vec<u8>) {
    let mut rest = part;
    while rest.len() >= RUN {
        let (run, behind) = rest.split_at(RUN);
        frame.push(0xFF);
        frame.extend_from_slice(run);
        rest = behind;
    }
    frame.push(u8::try_from(rest.len() + 1).unwrap_or(0xFF));
    frame.extend_from_slice(rest);
}

/// Finds frames in what arrives.
#[derive(Debug, Default)]
pub struct Unwrap {
    held: Vec<u8>,
}

impl Unwrap {
    /// Takes what has arrived; the whole frames that are complete now, as number and message.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut frames = Vec::new();
        for byte in bytes {
            if *byte != 0 {
                self.held.push(*byte);
                if self.held.len() > LONGEST {
                    self.held.clear();
                }
                continue;
            }
            frames.extend(unwrap(&self.held));
            self.held.clear();
        }
        frames
    }
}

fn unwrap(coded: &[u8]) -> Option<(u32, Vec<u8>)> {
    let mut plain = Vec::with_capacity(coded.len());
    let mut rest = coded;
    while let [code, behind @ ..] = rest {
        let (run, behind) = behind.split_at_checked(usize::from(*code) - 1)?;
        plain.extend_from_slice(run);
        if *code != 0xFF && !behind.is_empty() {
            plain.push(0);
        }
        rest = behind;
    }
    let (tagged, crc) = plain.split_last_chunk::<4>()?;
    if CRC.checksum(tagged) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (tag, message) = tagged.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*tag), message.to_vec()))
}

#[cfg(test)]
mod tests {
    use ota_agent::sim::Dice;

    use super::*;

    fn message(dice: &mut Dice) -> Vec<u8> {
        let len = dice.index(700);
        // Few values: zeros, and runs without any, of every length.
        let zeros = dice.percent(50);
        (0..len).map(|_| if zeros && dice.percent(10) { 0 } else { dice.pick(&[1, 2, 0xFF]) }).collect()
    }

    #[test]
    fn frames_arrive_whole_however_they_are_split() {
        let mut dice = Dice::new(1);
        for number in 0..500 {
            let message = message(&mut dice);
            let frame = wrap(number, &message);
            let (one, other) = frame.split_at(dice.index(frame.len()));
            let mut receiver = Unwrap::default();
            let mut found = receiver.push(one);
            found.extend(receiver.push(other));
            assert_eq!(found, [(number, message)]);
        }
    }

    #[test]
    fn damaged_frame_is_dropped_and_the_next_one_found() {
        let mut dice = Dice::new(2);
        for number in 0..500 {
            let mut frame = wrap(number, &message(&mut dice));
            let at = 1 + dice.index(frame.len() - 2);
            frame[at] ^= 1 << dice.below(8);
            let mut receiver = Unwrap::default();
            assert_eq!(receiver.push(&frame), []);
            assert_eq!(receiver.push(&wrap(7, b"next")), [(7, b"next".to_vec())]);
        }
    }
}

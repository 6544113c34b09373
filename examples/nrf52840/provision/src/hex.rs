//! Intel HEX, which every programmer reads.

use anyhow::{Context, Result};
use ihex::Record;

/// Bytes in a line.
const LINE: u32 = 16;

/// Writes `pieces` of memory, each with its address. What is erased is left out: a programmer erases.
///
/// # Errors
/// If a piece lies beyond 4 GiB.
pub(crate) fn write<'p>(pieces: impl IntoIterator<Item = (u32, &'p [u8])>) -> Result<String> {
    let mut records = Vec::new();
    let mut upper = None;
    for (start, bytes) in pieces {
        for (address, line) in (start..).step_by(LINE as usize).zip(bytes.chunks(LINE as usize)) {
            if line.iter().all(|byte| *byte == 0xFF) {
                continue;
            }
            let [a, b, c, d] = address.to_be_bytes();
            let high = u16::from_be_bytes([a, b]);
            if upper.replace(high) != Some(high) {
                records.push(Record::ExtendedLinearAddress(high));
            }
            records.push(Record::Data { offset: u16::from_be_bytes([c, d]), value: line.to_vec() });
        }
    }
    records.push(Record::EndOfFile);
    ihex::create_object_file_representation(&records).context("cannot write the hex file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_at_its_address() {
        let text = write([(0xFFF8, &[7; 16][..]), (0x1000_1200, &[18, 0, 0, 0])]).unwrap();
        let mut upper = 0_u32;
        let mut read = Vec::new();
        for record in ihex::Reader::new(&text) {
            match record.unwrap() {
                Record::ExtendedLinearAddress(high) => upper = u32::from(high) << 16,
                Record::Data { offset, value } => {
                    read.extend((upper + u32::from(offset)..).zip(value));
                }
                Record::EndOfFile => {}
                other => panic!("{other:?}"),
            }
        }
        let expected = (0xFFF8_u32..0x1_0008).map(|address| (address, 7));
        let uicr = (0x1000_1200..).zip([18, 0, 0, 0]);
        assert_eq!(read, expected.chain(uicr).collect::<Vec<_>>());
    }

    #[test]
    fn erased_lines_are_left_out() {
        assert_eq!(write([(0, &[0xFF; 64][..])]).unwrap().trim(), ":00000001FF");
    }
}

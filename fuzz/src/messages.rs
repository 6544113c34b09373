//! Arbitrary bytes as a message of either side: the reader says what postcard says, and what it reads is written back.

use crate::Target;
use crate::oracle::messages::{all_written, check};

/// The target.
pub const TARGET: Target = Target { name: "messages", run, seeds };

fn run(input: &[u8]) {
    check(input);
}

fn seeds() -> Vec<Vec<u8>> {
    let offer = [&[1][..], &[0xAB; 16], &[255, 0x80, 0x0C], &[0x5A; 1536]].concat();
    let chunk =
        [&[3][..], &[0xAB; 16], &[1], &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], &[0x80, 0x20], &[0; 4096]].concat();
    [all_written(), vec![offer, chunk]].concat()
}

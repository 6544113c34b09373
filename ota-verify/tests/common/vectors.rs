//! Reads a vector file: words, each followed by its bytes in hexadecimal; `#` begins a comment.

// Also part of the crate's own tests, which have no prelude with `Vec` in it.
extern crate std;

use std::vec::Vec;

/// The bytes behind each word, in the order of the file.
pub(crate) fn read(text: &str) -> Vec<(&str, Vec<u8>)> {
    let mut words: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let hex = line.len() % 2 == 0 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
        match words.last_mut() {
            Some((_, bytes)) if hex => bytes.extend(from_hex(line)),
            _ => words.push((line, Vec::new())),
        }
    }
    words
}

/// Bytes written in hexadecimal.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

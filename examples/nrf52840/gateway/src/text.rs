//! What a board says to people between its frames.

/// Longest line that is kept, bytes; of a longer one the rest makes another line.
const LONGEST: usize = 200;
/// Shortest one that is worth showing: fewer readable bytes in a row stand in any frame.
const SHORTEST: usize = 4;

/// Finds lines of text in a byte stream.
#[derive(Debug, Default)]
pub(crate) struct TextFinder {
    line: String,
    /// Something unreadable stands in this line: it is part of a frame, or noise.
    spoilt: bool,
}

impl TextFinder {
    /// Takes bytes, and hands out the lines that end in them.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        bytes.iter().filter_map(|byte| self.push(*byte)).collect()
    }

    fn push(&mut self, byte: u8) -> Option<String> {
        match byte {
            b'\n' | 0 => return self.end(),
            b'\r' => {}
            b' '..=b'~' | b'\t' => self.line.push(char::from(byte)),
            _ => self.spoilt = true,
        }
        if self.line.len() < LONGEST { None } else { self.end() }
    }

    fn end(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let is_text = !std::mem::take(&mut self.spoilt) && line.trim().len() >= SHORTEST;
        is_text.then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_between_frames_and_frames_are_no_lines() {
        let mut finder = TextFinder::default();
        let found = finder.feed(b"boot: ok\r\nslot\0\x02\x02\x05ABCDEF\0\n\n ready\t1\nhalf");
        assert_eq!(found, ["boot: ok", "slot", " ready\t1"]);
        assert_eq!(finder.feed(b" a line\n"), ["half a line"]);
    }

    #[test]
    fn line_without_an_end_takes_no_more_memory_than_a_long_one() {
        let mut finder = TextFinder::default();
        let lines = finder.feed(&[b'x'; 10 * LONGEST + 3]);
        assert_eq!(lines.len(), 10);
        assert_eq!(finder.line.len(), 3);
        finder.feed(&[0x80; 1000]);
        assert!(finder.line.len() < LONGEST);
    }
}

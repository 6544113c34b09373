//! Whether what comes over a line can be a board of ours.

use ota_manifest::wire::stream::MAX_REPORT_FRAME;

use crate::Trouble;

/// Fewer bytes than this are what plugging in makes.
const SPARKS: u64 = 16;
/// The longest frame of a board, bytes. As much may be the rest of one that was cut, which is repeated.
const FRAME: u64 = MAX_REPORT_FRAME as u64;

/// Watches a line that was opened at some time. Milliseconds.
#[derive(Debug)]
pub(crate) struct Health {
    patience_ms: u64,
    baud: u32,
    /// When the line was opened, or since the last frame.
    since_ms: u64,
    /// Since then: bytes, those of them that are text, and broken frames.
    bytes: u64,
    readable: u64,
    losses: u64,
    /// A frame has arrived since the line was opened.
    heard: bool,
    told: Option<Trouble>,
}

impl Health {
    pub(crate) const fn new(patience_ms: u64, baud: u32) -> Self {
        let (bytes, readable, losses) = (0, 0, 0);
        Self { patience_ms, baud, since_ms: 0, bytes, readable, losses, heard: false, told: None }
    }

    pub(crate) const fn be_patient(&mut self, patience_ms: u64) {
        self.patience_ms = patience_ms;
    }

    /// The line is a new one.
    pub(crate) const fn opened(&mut self, now_ms: u64, losses: u64) {
        self.begin(now_ms, losses);
        self.heard = false;
        self.told = None;
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        let readable = bytes.iter().filter(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        self.readable = self.readable.saturating_add(u64::try_from(readable.count()).unwrap_or(u64::MAX));
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// A whole frame has arrived.
    pub(crate) fn framed(&mut self, now_ms: u64, losses: u64) {
        self.begin(now_ms, losses);
        self.heard = true;
        self.told = None;
    }

    /// What is wrong, once.
    pub(crate) fn check(&mut self, now_ms: u64, losses: u64) -> Option<Trouble> {
        let waited_ms = now_ms.saturating_sub(self.since_ms);
        if waited_ms < self.patience_ms {
            return None;
        }
        let found = self.found(waited_ms, losses)?;
        let is_news =
            self.told.is_none_or(|told| std::mem::discriminant(&told) != std::mem::discriminant(&found));
        if is_news {
            self.told = Some(found);
        }
        is_news.then_some(found)
    }

    fn found(&self, waited_ms: u64, losses: u64) -> Option<Trouble> {
        let (seconds, bytes, baud) = (self.patience_ms / 1000, self.bytes, self.baud);
        let is_text = self.readable >= bytes - bytes / 10;
        match bytes {
            // A board that has said something may well wait for its next poll, or for people to read its text.
            0..SPARKS => (!self.heard).then_some(Trouble::Silent { seconds }),
            _ if is_text => (!self.heard).then_some(Trouble::Text { bytes }),
            // What a line spoils now and then is repeated, and arrives.
            _ if self.heard && bytes < 8 * FRAME => None,
            _ if bytes < FRAME && waited_ms < 3 * self.patience_ms => None,
            _ => Some(Trouble::Garbage { bytes, broken: losses - self.losses, baud }),
        }
    }

    const fn begin(&mut self, now_ms: u64, losses: u64) {
        self.since_ms = now_ms;
        self.losses = losses;
        (self.bytes, self.readable) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GARBAGE: [u8; 120] = [0x80; 120];

    fn opened() -> Health {
        let mut health = Health::new(5_000, 115_200);
        health.opened(1_000, 3);
        health
    }

    #[test]
    fn silence_is_told_once_and_never_after_a_frame() {
        let mut health = opened();
        assert_eq!(health.check(5_999, 3), None);
        health.received(b"\x80\xFE");
        assert_eq!(health.check(6_000, 3), Some(Trouble::Silent { seconds: 5 }), "sparks are no message");
        assert_eq!(health.check(60_000, 3), None);
        health.framed(60_000, 3);
        assert_eq!(health.check(600_000, 3), None);
    }

    #[test]
    fn garbage_is_told_from_text() {
        let mut health = opened();
        health.received(&GARBAGE);
        let garbage = Trouble::Garbage { bytes: 120, broken: 2, baud: 115_200 };
        assert_eq!(health.check(6_000, 5), Some(garbage));
        let mut health = opened();
        health.received(b"login: \r\nPassword: \r\n");
        assert_eq!(health.check(6_000, 3), Some(Trouble::Text { bytes: 21 }));
    }

    #[test]
    fn rest_of_a_frame_that_was_cut_has_time_to_be_repeated() {
        let mut health = opened();
        health.received(&GARBAGE[..40]);
        assert_eq!(health.check(15_999, 4), None);
        assert!(matches!(health.check(16_000, 4), Some(Trouble::Garbage { bytes: 40, .. })));
    }

    #[test]
    fn board_that_worked_is_suspected_only_when_much_of_what_it_sends_is_garbage() {
        let mut health = opened();
        health.framed(2_000, 3);
        health.received(b"measured 21.5 degrees\n");
        assert_eq!(health.check(8_000, 3), None);
        health.received(&GARBAGE);
        assert_eq!(health.check(60_000, 4), None);
        (0..7).for_each(|_| health.received(&GARBAGE));
        assert!(matches!(health.check(60_000, 4), Some(Trouble::Garbage { broken: 1, .. })));
        assert_eq!(health.check(60_001, 4), None);
        health.framed(61_000, 4);
        (0..8).for_each(|_| health.received(&GARBAGE));
        assert!(health.check(66_000, 4).is_some(), "a new episode");
    }
}

//! Which part of an object a server sends (RFC 9110, 14.4).

use core::ops::Range;

use ureq::http::HeaderMap;

use super::only;

/// First and last byte, and the object's length where the server tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    first: u64,
    last: u64,
    total: Option<u64>,
}

impl ContentRange {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(only(headers, "content-range")?)
    }

    fn parse(value: &str) -> Option<Self> {
        let (unit, range) = value.split_once(' ')?;
        let (range, total) = range.split_once('/').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        let sent = Self { first: number(first)?, last: number(last)?, total };
        let is_possible = sent.first <= sent.last && total.is_none_or(|total| sent.last < total);
        is_possible.then_some(sent)
    }

    /// How many bytes are sent; `None` if they are not those that were asked for. Fewer are, where the object ends there, or
    /// where the server does not send more at once.
    pub(super) fn within(&self, wanted: &Range<u64>) -> Option<u64> {
        let is_part = self.first == wanted.start && self.last < wanted.end;
        is_part.then(|| self.last - self.first + 1)
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_that_was_asked_for_is_told_from_all_others() {
        let length = |value: &str| ContentRange::parse(value).and_then(|sent| sent.within(&(100..300)));
        for (value, expected) in [
            ("bytes 100-299/1000", Some(200)),
            ("bytes 100-299/*", Some(200)),
            ("bytes 100-249/250", Some(150)),
            ("bytes 100-100/1000", Some(1)),
            ("Bytes 100-299/1000", Some(200)),
            ("bytes 100-300/1000", None),
            ("bytes 99-299/1000", None),
            ("bytes 101-299/1000", None),
            ("bytes 100-99/1000", None),
            ("bytes 100-299/200", None),
            ("bytes */1000", None),
            ("bytes 100-299", None),
            ("bytes=100-299/1000", None),
            ("bytes +100-299/1000", None),
            ("bytes 100-18446744073709551616/*", None),
            ("bytes 100-/1000", None),
            ("items 100-299/1000", None),
            ("", None),
        ] {
            assert_eq!(length(value), expected, "{value}");
        }
    }
}

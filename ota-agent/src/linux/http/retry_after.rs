//! How long a server wants to be left alone (RFC 9110, 10.2.3).

use core::time::Duration;
use std::time::SystemTime;

use httpdate::parse_http_date;
use ureq::http::HeaderMap;

use super::only;

/// A server cannot silence a device for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Milliseconds to wait; 0 for "as you are configured".
pub(super) fn milliseconds(headers: &HeaderMap) -> u32 {
    let wait = only(headers, "retry-after").and_then(|value| {
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            // A number that is too long for this is too long to wait for, too.
            return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
        }
        let until = parse_http_date(value).ok()?;
        // By the server's own clock, where it tells: the device's may never have been set.
        let now = only(headers, "date").and_then(|date| parse_http_date(date).ok());
        until.duration_since(now.unwrap_or_else(SystemTime::now)).ok()
    });
    wait.map_or(0, |wait| u32::try_from(wait.min(LONGEST).as_millis()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &str)]) -> u32 {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        milliseconds(&headers.collect())
    }

    #[test]
    fn seconds_are_kept_to_up_to_a_day() {
        assert_eq!(wait(&[("retry-after", "120")]), 120_000);
        assert_eq!(wait(&[("retry-after", "0")]), 0);
        for long in ["86401", "999999999", "18446744073709551616"] {
            assert_eq!(wait(&[("retry-after", long)]), 86_400_000, "{long}");
        }
        for nonsense in ["", "-1", "+1", "1.5", "soon", "0x10", "12 "] {
            assert_eq!(wait(&[("retry-after", nonsense)]), 0, "{nonsense}");
        }
        assert_eq!(wait(&[("retry-after", "1"), ("retry-after", "2")]), 0);
    }

    #[test]
    fn date_is_counted_from_the_clock_of_the_server() {
        let (date, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:51:07 GMT");
        assert_eq!(wait(&[("date", date), ("retry-after", later)]), 90_000);
        // The obsolete formats, which a recipient must read (RFC 9110, 5.6.7).
        assert_eq!(wait(&[("date", date), ("retry-after", "Sunday, 06-Nov-94 08:51:07 GMT")]), 90_000);
        assert_eq!(wait(&[("date", date), ("retry-after", "Sun Nov  6 08:51:07 1994")]), 90_000);
        assert_eq!(wait(&[("date", later), ("retry-after", date)]), 0, "that was before");
        assert_eq!(wait(&[("date", date), ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")]), 86_400_000);
        assert_eq!(wait(&[("retry-after", date)]), 0, "long past, by the clock of the device");
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!((90_000..=100_000).contains(&wait(&[("retry-after", &soon)])));
    }
}

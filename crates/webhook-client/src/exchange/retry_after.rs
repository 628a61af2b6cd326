//! The header `Retry-After`, RFC 9110, section 10.2.3.

use std::time::Duration;

use hyper::header::{HeaderMap, RETRY_AFTER};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// Returns the delay, at most `max`. The header is ignored when it is missing, repeated, or neither
/// a number of seconds nor a date; a date in the past is a delay of 0. `now` is in milliseconds
/// since 1970.
///
/// Of the date formats only the one that senders must generate is read, not the two obsolete ones.
pub(super) fn retry_after(headers: &HeaderMap, now: u64, max: Duration) -> Option<Duration> {
    let mut values = headers.get_all(RETRY_AFTER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is longer than any maximum.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(max.min(Duration::from_secs(seconds)));
    }
    let date = OffsetDateTime::parse(text, &Rfc2822).ok().filter(|_| text.ends_with("GMT"))?;
    let seconds = date.unix_timestamp().saturating_mul(1_000);
    let delay = u64::try_from(seconds).unwrap_or(0).saturating_sub(now);
    Some(max.min(Duration::from_millis(delay)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    const NOW: u64 = 784_111_777_000;

    fn read(values: &[&str]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(RETRY_AFTER, value.parse().unwrap());
        }
        retry_after(&headers, NOW, HOUR)
    }

    #[test]
    fn seconds_and_dates_are_delays() {
        for (text, seconds) in [
            ("0", 0),
            ("120", 120),
            (" 7 ", 7),
            ("3600", 3_600),
            ("3601", 3_600),
            ("1000000000000", 3_600),
            ("99999999999999999999999999", 3_600),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 3_600),
        ] {
            assert_eq!(read(&[text]), Some(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn invalid_or_repeated_value_is_ignored() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "1s",
            "soon",
            "1, 2",
            "0x10",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37 +0100",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(read(&[text]), None, "{text}");
        }
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["1", "1"]), None);
    }
}

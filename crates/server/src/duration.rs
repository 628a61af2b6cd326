//! Parses durations and times in settings and flags, and formats times for people.

use std::time::Duration;

use domain::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Parses a duration such as `45s`, `30m`, `12h` or `90d`. Returns `None` for other texts, for zero
/// and for more than [`MAX_SECONDS`].
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (number, unit) = text.trim().split_at_checked(text.trim().len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u64 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
    let total = number.checked_mul(seconds).filter(|total| (1..=MAX_SECONDS).contains(total))?;
    Some(Duration::from_secs(total))
}

/// A hundred years. A longer duration is a typing error, and sums of durations stay far below any
/// overflow.
const MAX_SECONDS: u64 = 100 * 366 * 86_400;

/// Parses a duration from now, or a date and time of RFC 3339.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(duration) = parse(text) {
        return Some(now.plus(duration));
    }
    let at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp::from_millis)
}

/// Formats a time in UTC: `2027-01-31 09:30:00Z`.
pub(crate) fn format_time(at: Timestamp) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(at.millis().div_euclid(1000)) else {
        return at.millis().to_string();
    };
    let (date, time) = (at.date(), at.time());
    format!("{date} {:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, seconds) in [("45s", 45), ("30m", 1800), ("12h", 43_200), (" 90d ", 7_776_000)] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "0s",
            "-1s",
            "+1s",
            "1.5h",
            "10",
            "10w",
            "1é",
            "é",
            "99999999999999999999d",
            "99999999d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn time_is_a_duration_from_now_or_a_date_and_time() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(parse_time("1m", now), Some(Timestamp::from_millis(61_000)));
        let expected = Some(Timestamp::from_millis(1_801_387_800_500));
        assert_eq!(parse_time("2027-01-31T09:30:00.5Z", now), expected);
        assert_eq!(parse_time("2027-01-31T10:30:00.5+01:00", now), expected);
        for text in ["", "tomorrow", "2027-01-31", "1801387800", "2027-13-01T00:00:00Z"] {
            assert_eq!(parse_time(text, now), None, "{text}");
        }
    }

    #[test]
    fn times_are_formatted_in_utc() {
        assert_eq!(format_time(Timestamp::from_millis(1_801_387_800_500)), "2027-01-31 09:30:00Z");
        assert_eq!(format_time(Timestamp::from_millis(-1)), "1969-12-31 23:59:59Z");
    }
}

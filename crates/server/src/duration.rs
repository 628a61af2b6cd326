//! Stretches of time and moments as operators write them.

use std::time::Duration;

use domain::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// `45s`, `30m`, `12h` or `90d`; `None` for anything else, and for nothing.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.trim().split_at_checked(text.trim().len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u64 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
    let total = number.checked_mul(seconds).filter(|total| (1..=LONGEST).contains(total))?;
    Some(Duration::from_secs(total))
}

/// A hundred years: more is a slip of the pen, and sums with it stay far from any limit.
const LONGEST: u64 = 100 * 366 * 86_400;

/// The moment that a duration from now or an RFC 3339 date and time names.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Some(duration) = duration(text) {
        return Some(now.plus(duration));
    }
    let at = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Timestamp::from_millis)
}

/// A moment for people: `2027-01-31 09:30:00Z`.
pub(crate) fn shown(at: Timestamp) -> String {
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
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
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
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_duration_from_now_or_a_date_and_time() {
        let now = Timestamp::from_millis(1_000);
        assert_eq!(moment("1m", now), Some(Timestamp::from_millis(61_000)));
        let expected = Some(Timestamp::from_millis(1_801_387_800_500));
        assert_eq!(moment("2027-01-31T09:30:00.5Z", now), expected);
        assert_eq!(moment("2027-01-31T10:30:00.5+01:00", now), expected);
        for text in ["", "tomorrow", "2027-01-31", "1801387800", "2027-13-01T00:00:00Z"] {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }

    #[test]
    fn moments_are_shown_in_utc() {
        assert_eq!(shown(Timestamp::from_millis(1_801_387_800_500)), "2027-01-31 09:30:00Z");
        assert_eq!(shown(Timestamp::from_millis(-1)), "1969-12-31 23:59:59Z");
    }
}

//! The period in which a token is valid: `nbf`, `exp` and `iat`.

use std::time::Duration;

use domain::Timestamp;
use serde_json::Value;

use super::{claims::present, token::Cause};

/// The last second of the year 9999. A later time is a mistake (most often milliseconds) and would
/// make a token that never expires.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The period in which a token is valid, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    /// From `nbf`; `None` means no lower bound.
    not_before: Option<i64>,
    expires: i64,
}

impl Validity {
    /// Reads the times of the claims.
    pub(super) fn read(claims: &Value) -> Result<Self, Cause> {
        let error = "a time in the token is not a number of seconds";
        let expires = millis(claims.get("exp"), error)?.ok_or("the token has no expiry")?;
        let not_before = millis(claims.get("nbf"), error)?;
        // berth does not use `iat`, but rejects a token with a malformed one.
        millis(claims.get("iat"), error)?;
        Ok(Self { not_before, expires })
    }

    /// Returns the time of `exp`, without leeway.
    pub(super) fn expires_at(self) -> Timestamp {
        Timestamp::from_millis(self.expires)
    }

    /// Rejects a token that has expired or is not valid yet, with `leeway` on both sides.
    pub(super) fn check(self, now: Timestamp, leeway: Duration) -> Result<(), Cause> {
        let leeway = i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX);
        if now.millis().saturating_sub(leeway) >= self.expires {
            return Err("the token has expired");
        }
        if self.not_before.is_some_and(|begins| now.millis().saturating_add(leeway) < begins) {
            return Err("the token is not valid yet");
        }
        Ok(())
    }
}

/// Returns the claim's time in milliseconds since the epoch. The claim may have a fraction
/// (RFC 7519, section 2, `NumericDate`).
fn millis(claim: Option<&Value>, error: Cause) -> Result<Option<i64>, Cause> {
    let Some(claim) = present(claim) else { return Ok(None) };
    let seconds = claim.as_f64().filter(|s| (0.0..=LAST_SECOND).contains(s)).ok_or(error)?;
    #[expect(clippy::cast_possible_truncation, reason = "at most 253,402,300,799,000")]
    Ok(Some((seconds * 1000.0).round() as i64))
}

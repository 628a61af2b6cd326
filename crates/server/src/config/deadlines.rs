//! The settings of times: deadlines, leases, retention, and the bounds of the queue of messages.

use std::{num::NonZeroU32, time::Duration};

use super::{rate, time};
use crate::{invalid::Invalid, settings};

/// The maximum of `pairing_rate`: the limit on the pairing attempts of one organization in an hour.
const MAX_PAIRING_RATE: u32 = domain::MAX_LINK_ATTEMPTS_PER_HOUR;

/// The maximum of `logout_deadline`; a request may take little longer as a whole.
const MAX_LOGOUT_DEADLINE: Duration = Duration::from_secs(30);

/// Returns the retention of events in the feed and in the audit log; `None` keeps them for ever.
fn event_retention(
    settings: &settings::Deadlines,
    default: Duration,
) -> Result<(Duration, Option<Duration>), Invalid> {
    let feed = time("feed_retention", settings.feed_retention.as_deref(), default)?;
    if feed < MIN_FEED_RETENTION {
        return Err(Invalid::setting("feed_retention", "events are kept for 1h or longer"));
    }
    let audit = match settings.audit_retention.as_deref() {
        None | Some("forever") => None,
        given => Some(time("audit_retention", given, feed)?),
    };
    if audit.is_some_and(|audit| audit < feed) {
        let reason = "the audit log keeps events at least as long as feed_retention";
        return Err(Invalid::setting("audit_retention", reason));
    }
    Ok((feed, audit))
}

/// The minimum of `feed_retention`; clients that were disconnected for a while can then resume.
const MIN_FEED_RETENTION: Duration = Duration::from_secs(3_600);

pub(super) fn deadlines(
    settings: &settings::Deadlines,
    pairings: Option<settings::Count>,
) -> Result<domain::Deadlines, Invalid> {
    let of = |name, given: &Option<String>, default| time(name, given.as_deref(), default);
    let usual = domain::Deadlines::default();
    let logout = of("logout_deadline", &settings.logout_deadline, usual.logout)?;
    if logout > MAX_LOGOUT_DEADLINE {
        let reason = format!("no request waits longer than {} s", MAX_LOGOUT_DEADLINE.as_secs());
        return Err(Invalid::setting("logout_deadline", reason));
    }
    let pairings = rate("pairing_rate", pairings, 10)?.map_or(0, NonZeroU32::get);
    if pairings > MAX_PAIRING_RATE {
        let reason =
            format!("an organization begins at most {MAX_PAIRING_RATE} attempts in an hour");
        return Err(Invalid::setting("pairing_rate", reason));
    }
    let lease = of("lease", &settings.lease, usual.lease)?;
    let heartbeat = of("heartbeat", &settings.heartbeat, usual.heartbeat_interval.min(lease / 3))?;
    if heartbeat.is_zero() || heartbeat > lease / 3 {
        let reason =
            "a lease must outlast three heartbeats, and a heartbeat takes a second or more";
        return Err(Invalid::setting("heartbeat", reason));
    }
    let (feed_retention, audit_retention) = event_retention(settings, usual.feed_retention)?;
    Ok(domain::Deadlines {
        logout,
        lease,
        // For clock drift and heartbeats in flight.
        lease_margin: lease / 3,
        heartbeat_interval: heartbeat,
        start: of("start_deadline", &settings.start_deadline, usual.start)?,
        pairing_quota: domain::Deadlines::pairing_quota_per_hour(pairings),
        cleanup: of("retirement_deadline", &settings.retirement_deadline, usual.cleanup)?,
        feed_retention,
        audit_retention,
        key_retention: of("key_retention", &settings.key_retention, usual.key_retention)?,
        ..usual
    })
}

/// The maximum of `send_deadline`; a request may take little longer as a whole.
const MAX_SEND_DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn outbox(
    settings: &settings::Deadlines,
    queue: Option<settings::Count>,
) -> Result<domain::OutboxLimits, Invalid> {
    let of = |name, given: &Option<String>, default| time(name, given.as_deref(), default);
    let usual = domain::OutboxLimits::default();
    let wait = of("send_deadline", &settings.send_deadline, usual.wait)?;
    if wait > MAX_SEND_DEADLINE {
        let reason = format!("no request waits longer than {} s", MAX_SEND_DEADLINE.as_secs());
        return Err(Invalid::setting("send_deadline", reason));
    }
    let given = &settings.acknowledgement_deadline;
    let acknowledgement = of("acknowledgement_deadline", given, usual.acknowledgement)?;
    if acknowledgement.is_zero() {
        return Err(Invalid::setting("acknowledgement_deadline", "a second or more"));
    }
    let queue = rate("message_queue", queue, usual.queue)?.map_or(0, NonZeroU32::get);
    Ok(domain::OutboxLimits { queue, wait, acknowledgement })
}

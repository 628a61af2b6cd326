//! The counters of pairing attempts and of ends of sessions, which the store counts as it commits.

use domain::{EndReason, PairingOutcome};
use metrics::{counter, describe_counter};

/// Describes the counters, and sets them to 0: a counter that exists from the start shows its first increment
/// as an increase.
pub(crate) fn describe() {
    describe_counter!(
        "berth_pairings_total",
        "pairing attempts that ended, by outcome (paired, expired, failed, passkey_required), counted by \
         the router that stored the end; an attempt that its owner ends has no outcome"
    );
    for outcome in PairingOutcome::ALL {
        counter!("berth_pairings_total", "outcome" => outcome.as_str()).absolute(0);
    }
    describe_counter!(
        "berth_session_ends_total",
        "sessions that stopped or failed, by reason (requested, or the code of the status), counted by the \
         router that stored the end"
    );
    for reason in EndReason::all() {
        counter!("berth_session_ends_total", "reason" => reason.as_str()).absolute(0);
    }
}

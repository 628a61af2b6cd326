//! Counts the pairing attempts and the ends of sessions that commits write. The router that commits counts,
//! so that each is counted once in the fleet.
//!
//! A commit whose caller stopped waiting at the deadline may be written and is not counted.

use domain::{
    Event, SessionFigure,
    ports::{CommitOutcome, Written},
};
use metrics::counter;

/// Counts what a commit adds to the figures, if the commit was written.
pub(crate) fn count_written(written: Written, events: &[Event]) {
    if written != Written::Done {
        return;
    }
    for figure in events.iter().filter_map(|event| SessionFigure::of(&event.payload)) {
        match figure {
            SessionFigure::Pairing(outcome) => {
                counter!("berth_pairings_total", "outcome" => outcome.as_str()).increment(1);
            }
            SessionFigure::End(reason) => {
                counter!("berth_session_ends_total", "reason" => reason.as_str()).increment(1);
            }
        }
    }
}

/// Acts as [`count_written`] for a commit that may be rejected.
pub(crate) fn count_outcome(outcome: &CommitOutcome, events: &[Event]) {
    if let Ok(written) = outcome {
        count_written(*written, events);
    }
}

//! One connection, driven to its end.
//!
//! hyper limits the time for headers once the protocol is known, and pings HTTP/2 peers. This
//! module ends the connections that hyper would keep: a peer that sends nothing, half a preface or
//! only a preface, an HTTP/2 connection without requests, and a peer that does not read its
//! responses or its streams.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{activity::ConnectionActivity, connections::ConnectionGuard, limits::Limits};

/// Time for a connection to close after it was asked to, while no request is at work.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a connection to close whose requests are streams. Peers of streams expect a cut at any
/// time and resume elsewhere.
const STREAM_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Each response must be written within this many times [`Limits::write_time`], whatever its
/// progress.
const WHOLE_RESPONSE_FACTOR: u32 = 4;

/// The next step for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Keep the connection and judge again at this time.
    Until(Instant),
    /// Ask the connection to end; its requests are finished.
    Close,
    /// As `Close`, because the peer does not read its responses.
    Stalled,
    /// Drop the connection.
    End,
    /// As `End`, because the peer does not read its responses.
    Dropped,
}

/// Drives a connection, or the protocol of an upgraded one, to its end: until the future completes,
/// a limit is exceeded, or the listener stops. `close` asks the future to complete soon. Returns
/// whether the future completed.
pub(crate) async fn drive<C: Future>(
    connection: C,
    mut close: impl FnMut(Pin<&mut C>),
    guard: &ConnectionGuard,
    limits: &Limits,
    stop: &CancellationToken,
) -> bool {
    let mut connection = pin!(connection);
    // The time at which the connection was asked to end.
    let mut closing = None;
    let (mut ended, mut ending) = (pin!(guard.activity.ended()), false);
    let mut next_judgement = pin!(sleep_until(
        guard.activity.last_progress() + limits.first_request.min(limits.write_time)
    ));
    loop {
        tokio::select! {
            biased;
            _ = driven(connection.as_mut(), guard) => return true,
            () = ended.as_mut(), if !ending => {
                // A request may have arrived since the connection was chosen because it was idle.
                if guard.activity.ends_at_once() {
                    return false;
                }
                ending = true;
            }
            () = stop.cancelled(), if closing.is_none() => {}
            () = next_judgement.as_mut() => match judge(&guard.activity, limits, closing, Instant::now()) {
                Verdict::Until(then) => {
                    next_judgement.as_mut().reset(then);
                    continue;
                }
                verdict if is_end(verdict, guard) => return false,
                _ => {}
            }
        }
        closing = Some(Instant::now());
        close(connection.as_mut());
        next_judgement.as_mut().reset(Instant::now() + STREAM_CLOSE_TIMEOUT);
    }
}

async fn driven<C: Future>(mut connection: Pin<&mut C>, guard: &ConnectionGuard) -> C::Output {
    poll_fn(|context| {
        let driven = connection.as_mut().poll(context);
        guard.report_unwritten();
        driven
    })
    .await
}

/// Returns whether the connection ends now, and counts a peer that does not read.
fn is_end(verdict: Verdict, guard: &ConnectionGuard) -> bool {
    if matches!(verdict, Verdict::Stalled | Verdict::Dropped) {
        guard.count_stalled();
    }
    matches!(verdict, Verdict::End | Verdict::Dropped)
}

/// Returns the next step for a connection.
fn judge(
    activity: &ConnectionActivity,
    limits: &Limits,
    closing: Option<Instant>,
    now: Instant,
) -> Verdict {
    let (last_progress, blocked) = (activity.last_progress(), activity.blocked_since());
    if blocked.is_some_and(|since| since + limits.write_time * WHOLE_RESPONSE_FACTOR <= now) {
        return Verdict::Dropped;
    }
    match (closing, blocked) {
        (Some(since), blocked) => judge_closing(activity, blocked.is_some(), since, now),
        (None, Some(_)) if last_progress + limits.write_time <= now && !activity.has_work() => {
            Verdict::Dropped
        }
        (None, Some(since)) => {
            let end = since + limits.write_time;
            if end <= now { Verdict::Stalled } else { Verdict::Until(end) }
        }
        (None, None) if activity.has_only_streams() => {
            let end = last_progress + limits.stream_stall;
            // Another response may become blocked before.
            let next = end.min(now + limits.write_time / 2);
            if end <= now { Verdict::Dropped } else { Verdict::Until(next) }
        }
        // The response may become blocked soon.
        (None, None) if activity.has_request() => Verdict::Until(now + limits.write_time / 2),
        (None, None) => {
            let timeout = if activity.had_request() { limits.idle } else { limits.first_request };
            let end = last_progress + timeout;
            if end <= now { Verdict::Close } else { Verdict::Until(end) }
        }
    }
}

/// Returns the next step for a connection that was asked to end.
fn judge_closing(
    activity: &ConnectionActivity,
    is_blocked: bool,
    since: Instant,
    now: Instant,
) -> Verdict {
    if activity.has_work() {
        return Verdict::Until(now + CLOSE_TIMEOUT);
    }
    let (end, over) = if is_blocked {
        (since.max(activity.last_progress()) + CLOSE_TIMEOUT, Verdict::Dropped)
    } else if activity.has_only_streams() {
        (since + STREAM_CLOSE_TIMEOUT, Verdict::End)
    } else {
        (since.max(activity.last_progress()) + CLOSE_TIMEOUT, Verdict::End)
    };
    if end <= now { over } else { Verdict::Until(end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracked_body::TrackedBody;

    fn limits() -> Limits {
        Limits {
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(100),
            write_time: Duration::from_secs(30),
            stream_stall: Duration::from_secs(60),
            ..Limits::default()
        }
    }

    /// Returns the verdict `seconds` after the last progress.
    fn after(seconds: u64, activity: &ConnectionActivity, closing: Option<Instant>) -> Verdict {
        judge(activity, &limits(), closing, activity.last_progress() + Duration::from_secs(seconds))
    }

    fn waits(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Until(_))
    }

    #[test]
    fn idle_connection_closes_after_its_timeout() {
        let activity = ConnectionActivity::for_test();
        assert!(waits(after(9, &activity, None)));
        assert_eq!(after(10, &activity, None), Verdict::Close);
        drop(activity.begin());
        assert!(waits(after(99, &activity, None)));
        assert_eq!(after(100, &activity, None), Verdict::Close);
        assert_eq!(after(3, &activity, Some(activity.last_progress())), Verdict::End);
    }

    #[test]
    fn connection_at_work_never_ends() {
        let activity = ConnectionActivity::for_test();
        let _request = activity.begin();
        for closing in [None, Some(activity.last_progress())] {
            assert!(waits(after(1_000, &activity, closing)));
        }
    }

    #[test]
    fn closing_connection_does_not_wait_for_a_missing_body() {
        let activity = ConnectionActivity::for_test();
        let _request = activity.begin();
        let _expecting = activity.await_peer();
        assert!(waits(after(1_000, &activity, None)), "the body has a deadline of its own");
        assert!(waits(after(2, &activity, Some(activity.last_progress()))));
        assert_eq!(after(3, &activity, Some(activity.last_progress())), Verdict::End);
    }

    #[test]
    fn connection_whose_peer_reads_nothing_is_dropped() {
        let activity = ConnectionActivity::for_test();
        let _answer = TrackedBody::for_test(10, &activity);
        assert!(waits(after(29, &activity, None)));
        assert_eq!(after(31, &activity, None), Verdict::Dropped);
        assert_eq!(after(4, &activity, Some(activity.last_progress())), Verdict::Dropped);
    }

    #[test]
    fn stream_lasts_while_its_peer_reads_and_closes_soon() {
        let activity = ConnectionActivity::for_test();
        let stream = TrackedBody::stream_for_test(&activity);
        assert!(waits(after(59, &activity, None)));
        assert_eq!(after(60, &activity, None), Verdict::Dropped);
        activity.record_progress();
        assert!(waits(after(59, &activity, None)));
        assert_eq!(after(1, &activity, Some(activity.last_progress())), Verdict::End);
        let request = activity.begin();
        assert!(waits(after(1_000, &activity, None)), "the other request is at work");
        drop(request);
        let _blocked = TrackedBody::for_test(10, &activity);
        assert_eq!(after(31, &activity, None), Verdict::Dropped, "the response is blocked");
        drop(stream);
    }

    #[test]
    fn connection_with_a_blocked_response_closes_after_its_other_requests() {
        let activity = ConnectionActivity::for_test();
        let _answer = TrackedBody::for_test(10, &activity);
        let _work = activity.begin();
        assert!(waits(after(29, &activity, None)));
        assert_eq!(after(31, &activity, None), Verdict::Stalled);
        let closing = Some(activity.last_progress());
        assert!(waits(after(90, &activity, closing)));
        assert_eq!(after(121, &activity, closing), Verdict::Dropped);
    }
}

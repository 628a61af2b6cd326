//! One connection, driven to its end: when patience with its peer is over.
//!
//! hyper bounds how long headers take once it knows the protocol, and pings HTTP/2 peers. What it
//! leaves open ends here: a peer that says nothing, half a preface, a preface and nothing else, an HTTP/2
//! connection nobody uses, and a peer that does not take its answers.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    time::Duration,
};

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    listener::activity::ConnectionActivity,
    listener::connections::{ConnectionGuard, count_stalled},
    listener::limits::Limits,
};

/// How long a connection that was asked to end, and has nothing under way, may take to do so.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// An answer is taken within so many times [`Limits::write_time`], however steadily.
const WHOLE_RESPONSE_FACTOR: u32 = 4;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is looked at again then.
    Until(Instant),
    /// It is asked to end, and its requests are finished.
    Close,
    /// The same, for its peer does not take its answers.
    Stalled,
    /// It is dropped.
    End,
    /// The same, for its peer does not take its answers.
    Dropped,
}

/// Drives a connection to its end.
pub(crate) async fn drive<C: GracefulConnection>(
    connection: C,
    guard: &ConnectionGuard,
    limits: &Limits,
    stop: &CancellationToken,
) {
    let mut connection = pin!(connection);
    // Since when it was asked to end.
    let mut closing = None;
    let (mut ended, mut ending) = (pin!(guard.activity.ended()), false);
    let mut look_again =
        pin!(sleep_until(Instant::now() + limits.first_request.min(limits.write_time)));
    loop {
        tokio::select! {
            biased;
            _ = driven(connection.as_mut(), guard) => return,
            () = ended.as_mut(), if !ending => {
                // A request may have come since the connection was found idle.
                if guard.activity.ends_at_once() {
                    return;
                }
                ending = true;
            }
            () = stop.cancelled(), if closing.is_none() => {}
            () = look_again.as_mut() => match judge(&guard.activity, limits, closing, Instant::now()) {
                Verdict::Until(then) => {
                    look_again.as_mut().reset(then);
                    continue;
                }
                Verdict::Close => {}
                Verdict::Stalled => count_stalled(),
                Verdict::End => return,
                Verdict::Dropped => return count_stalled(),
            }
        }
        closing = Some(Instant::now());
        connection.as_mut().graceful_shutdown();
        look_again.as_mut().reset(Instant::now() + CLOSE_TIMEOUT);
    }
}

async fn driven<C: GracefulConnection>(
    mut connection: Pin<&mut C>,
    guard: &ConnectionGuard,
) -> Result<(), C::Error> {
    poll_fn(|context| {
        let driven = connection.as_mut().poll(context);
        guard.report_unwritten();
        driven
    })
    .await
}

/// What is to be done about a connection now.
fn judge(
    activity: &ConnectionActivity,
    limits: &Limits,
    closing: Option<Instant>,
    now: Instant,
) -> Verdict {
    let (last_progress, blocked) = (activity.last_progress(), activity.unwritten_since());
    if blocked.is_some_and(|since| since + limits.write_time * WHOLE_RESPONSE_FACTOR <= now) {
        return Verdict::Dropped;
    }
    match (closing, blocked) {
        (Some(_), _) if activity.has_work() => Verdict::Until(now + CLOSE_TIMEOUT),
        (Some(since), blocked) => {
            let end = since.max(last_progress) + CLOSE_TIMEOUT;
            let over = if blocked.is_some() { Verdict::Dropped } else { Verdict::End };
            if end <= now { over } else { Verdict::Until(end) }
        }
        (None, Some(_)) if last_progress + limits.write_time <= now && !activity.has_work() => {
            Verdict::Dropped
        }
        (None, Some(since)) => {
            let end = since + limits.write_time;
            if end <= now { Verdict::Stalled } else { Verdict::Until(end) }
        }
        // Its answer may be blocked soon.
        (None, None) if activity.has_request() => Verdict::Until(now + limits.write_time / 2),
        (None, None) => {
            let patience = if activity.had_request() { limits.idle } else { limits.first_request };
            let end = last_progress + patience;
            if end <= now { Verdict::Close } else { Verdict::Until(end) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::tracked_body::TrackedBody;

    fn limits() -> Limits {
        Limits {
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(100),
            write_time: Duration::from_secs(30),
            ..Limits::default()
        }
    }

    /// What is done after so many seconds.
    fn after(seconds: u64, activity: &ConnectionActivity, closing: Option<Instant>) -> Verdict {
        judge(activity, &limits(), closing, activity.last_progress() + Duration::from_secs(seconds))
    }

    fn waits(verdict: Verdict) -> bool {
        matches!(verdict, Verdict::Until(_))
    }

    #[test]
    fn connection_without_requests_closes_when_it_was_idle_long_enough() {
        let activity = ConnectionActivity::for_test();
        assert!(waits(after(9, &activity, None)));
        assert_eq!(after(10, &activity, None), Verdict::Close);
        drop(activity.begin());
        assert!(waits(after(99, &activity, None)));
        assert_eq!(after(100, &activity, None), Verdict::Close);
        assert_eq!(after(3, &activity, Some(activity.last_progress())), Verdict::End);
    }

    #[test]
    fn connection_at_work_is_never_ended() {
        let activity = ConnectionActivity::for_test();
        let _request = activity.begin();
        for closing in [None, Some(activity.last_progress())] {
            assert!(waits(after(1_000, &activity, closing)));
        }
    }

    #[test]
    fn connection_that_ends_does_not_wait_for_a_body_that_does_not_come() {
        let activity = ConnectionActivity::for_test();
        let _request = activity.begin();
        let _expecting = activity.await_peer();
        assert!(waits(after(1_000, &activity, None)), "the body has a deadline of its own");
        assert!(waits(after(2, &activity, Some(activity.last_progress()))));
        assert_eq!(after(3, &activity, Some(activity.last_progress())), Verdict::End);
    }

    #[test]
    fn connection_whose_peer_takes_nothing_is_dropped() {
        let activity = ConnectionActivity::for_test();
        let _answer = TrackedBody::new(vec![0; 10].into(), activity.begin());
        assert!(waits(after(29, &activity, None)));
        assert_eq!(after(31, &activity, None), Verdict::Dropped);
        assert_eq!(after(4, &activity, Some(activity.last_progress())), Verdict::Dropped);
    }

    #[test]
    fn connection_with_an_answer_that_is_not_taken_takes_no_more_requests_while_one_is_worked_on() {
        let activity = ConnectionActivity::for_test();
        let _answer = TrackedBody::new(vec![0; 10].into(), activity.begin());
        let _work = activity.begin();
        assert!(waits(after(29, &activity, None)));
        assert_eq!(after(31, &activity, None), Verdict::Stalled);
        let closing = Some(activity.last_progress());
        assert!(waits(after(90, &activity, closing)));
        assert_eq!(after(121, &activity, closing), Verdict::Dropped);
    }
}

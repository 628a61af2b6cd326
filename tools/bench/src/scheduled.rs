//! A load with a fixed schedule, whatever the server does (an open loop).
//!
//! Each request has a planned time, from which its latency counts. When a server pauses, all
//! requests of the pause are late and count. A load that waits for answers would send one request
//! during the pause and see one slow answer.

use std::{
    num::NonZeroU64,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::set_current_timer_slack;
use testbed::parallel::run_on_threads;

use crate::{
    connection::Connection,
    load::{Load, Outcome},
    spread::float,
};

/// Time to open every connection before the first request.
pub(crate) const HEAD_START: Duration = Duration::from_millis(200);
/// A server that is later does not keep up; its latency is that of the queue.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(5);

/// Sends `rate` requests per second over the connections of `load` in turn.
pub(crate) fn run(load: &Load, rate: f64, duration: Duration) -> Result<Outcome> {
    let start = Instant::now() + HEAD_START;
    // A blocking thread for each connection: the timer of a runtime has a resolution of
    // milliseconds.
    let latencies =
        run_on_threads(load.connections, |which| ask(load, which, rate, start, duration))?;
    Outcome::of(latencies, duration)
}

/// Sends the requests of one connection.
fn ask(
    load: &Load,
    which: usize,
    rate: f64,
    start: Instant,
    duration: Duration,
) -> Result<Vec<Duration>> {
    reduce_timer_slack()?;
    let mut connection = Connection::open(load.address)?;
    let mut latencies = Vec::new();
    for number in (which..).step_by(load.connections) {
        let after = due(number, rate);
        if after >= duration {
            break;
        }
        thread::sleep((start + after).saturating_duration_since(Instant::now()));
        let ask = &load.asks[number % load.asks.len()];
        let reply = connection.ask(&ask.request)?;
        let late = start.elapsed().saturating_sub(after);
        ensure!(
            reply.status == load.status && ask.body.matches(reply.body),
            "an unexpected answer"
        );
        ensure!(late < MAX_DELAY, "the server does not keep up with {rate:.0} requests per second");
        latencies.push(late);
    }
    Ok(latencies)
}

/// Makes timers of this thread exact: by default the kernel delays timers by up to 50 µs.
pub(crate) fn reduce_timer_slack() -> Result<()> {
    set_current_timer_slack(NonZeroU64::new(1)).context("the timers' slack")
}

/// Returns the planned time of a request after the start.
pub(crate) fn due(number: usize, rate: f64) -> Duration {
    Duration::from_secs_f64(float(number as u64) / rate)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;
    use crate::load::{Ask, ExpectedBody};

    /// Duration of the single pause before the second answer.
    const STOP: Duration = Duration::from_millis(300);

    #[test]
    fn requests_during_a_pause_are_late() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, mut buffer) = (listener.accept().unwrap().0, [0; 1024]);
            let mut answered = 0;
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                if answered == 1 {
                    thread::sleep(STOP);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes").unwrap();
                answered += 1;
            }
            answered
        });
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
        let asks = vec![Ask { request, body: ExpectedBody::Whole(b"yes".to_vec()) }];
        let load = Load { address, asks, status: 200, connections: 1, pause: Duration::ZERO };
        let outcome = run(&load, 100.0, Duration::from_millis(400)).unwrap();
        // All planned requests, most of them late by the rest of the pause.
        assert_eq!((outcome.count(), server.join().unwrap()), (40, 40));
        assert!(outcome.percentile(50) >= STOP / 4, "{:?}", outcome.percentile(50));
        assert!(outcome.percentile(100) >= STOP);
    }
}

//! Sessions that are created so that streams and webhooks have events. The label of a session begins
//! with a number, and its `session.created` contains the label.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use testbed::{client::Credential, parallel::run_on_threads, sessions::SESSIONS};

use crate::{
    bare_streams,
    connection::{Connection, request_with},
    scheduled::{HEAD_START, MAX_DELAY, due, reduce_timer_slack},
};

/// The text before the label of a session in an event.
const LABEL: &[u8] = b"\"label\":\"";

/// Creates sessions of several organizations.
#[derive(Clone, Debug)]
pub(crate) struct SessionWriter {
    pub(crate) address: SocketAddr,
    /// A key of each organization.
    pub(crate) credentials: Vec<Credential>,
    pub(crate) connections: usize,
    /// Number of characters of a label behind its number, of three bytes each.
    pub(crate) padding: usize,
}

impl SessionWriter {
    /// Creates sessions on a schedule, of the organizations in turn, numbered from 0. Returns the
    /// times of the answers, by number.
    pub(crate) fn write_on_schedule(&self, rate: f64, count: usize) -> Result<Vec<u64>> {
        let start = Instant::now() + HEAD_START;
        let mut answers = run_on_threads(self.connections, |which| {
            reduce_timer_slack()?;
            let (mut connection, mut answers) = (Connection::open(self.address)?, Vec::new());
            for number in (which..count).step_by(self.connections) {
                let after = due(number, rate);
                thread::sleep((start + after).saturating_duration_since(Instant::now()));
                self.create(&mut connection, number)?;
                answers.push((number, now()));
                let late = start.elapsed().saturating_sub(after);
                ensure!(late < MAX_DELAY, "berth does not keep up with {rate:.0} changes a second");
            }
            Ok(answers)
        })?;
        answers.sort_unstable();
        Ok(answers.into_iter().map(|(_, at)| at).collect())
    }

    /// Creates sessions as fast as possible, and returns the time that it took.
    pub(crate) fn write(&self, count: usize) -> Result<Duration> {
        let (began, next) = (Instant::now(), AtomicUsize::new(0));
        run_on_threads(self.connections, |_| {
            let mut connection = Connection::open(self.address)?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(Vec::<()>::new());
                }
                self.create(&mut connection, number)?;
            }
        })?;
        Ok(began.elapsed())
    }

    fn create(&self, connection: &mut Connection, number: usize) -> Result<()> {
        let credential = self.credentials.get(number % self.credentials.len()).context("no key")?;
        let body = format!(r#"{{"label":"{number}{}"}}"#, "€".repeat(self.padding));
        let create = request_with("POST", self.address, SESSIONS, Some(credential), Some(&body));
        let reply = connection.ask(&create)?;
        let text = String::from_utf8_lossy(reply.body);
        ensure!(reply.status == 201, "create: {}: {text}", reply.status);
        Ok(())
    }
}

/// Returns the number in the label of an event's session; `None` for other events.
pub(crate) fn label(event: &[u8]) -> Option<u64> {
    let at = event.windows(LABEL.len()).position(|window| window == LABEL)? + LABEL.len();
    let digits = event[at..].iter().take_while(|byte| byte.is_ascii_digit());
    std::str::from_utf8(&event[at..at + digits.count()]).ok()?.parse().ok()
}

/// Returns nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(bare_streams::now().as_nanos()).unwrap_or_default()
}

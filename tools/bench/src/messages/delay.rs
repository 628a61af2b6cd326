//! The time from a phone to the stream, and from the acceptance of a message until the stream says that it
//! is sent.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::parallel::run_on_threads;

use super::{
    TEXT,
    conversations::{CONVERSATIONS, Conversations},
    streamed::{self, ExpectedMessages},
};
use crate::{
    connection::Connection,
    delays::DelayRounds,
    figure::Findings,
    scheduled::{HEAD_START, MAX_DELAY, due, reduce_timer_slack},
    session_writer::now,
    spread::float,
};

/// Texts per second.
pub(super) const RATE: usize = 40;
/// Texts of a round: four seconds.
const TEXTS: usize = 4 * RATE;
/// Connections; enough that a request does not wait for an earlier answer.
const WRITERS: usize = 16;
/// Upper bound of the time of a round.
const PATIENCE: Duration = Duration::from_secs(60);

/// The delays of all rounds.
#[derive(Debug, Default)]
pub(super) struct MessageDelays {
    received: DelayRounds,
    sent: DelayRounds,
}

/// A request of the schedule.
#[derive(Debug)]
struct TimedRequest {
    number: usize,
    began: u64,
    answered: u64,
    answer: Value,
}

/// Returns the number of texts that each session sends in this number of rounds.
pub(super) const fn texts_of_a_session(rounds: usize) -> usize {
    rounds * TEXTS / CONVERSATIONS
}

/// Measures a round.
pub(super) fn measure(conversations: &Conversations, delays: &mut MessageDelays) -> Result<()> {
    delays.received.add(received(conversations)?)?;
    delays.sent.add(sent(conversations)?)
}

/// Returns the nanoseconds from each request to a phone to its event.
fn received(conversations: &Conversations) -> Result<Vec<u64>> {
    let expected = ExpectedMessages { received: TEXTS, sent: 0 };
    let write = || {
        on_schedule(|number| {
            let text = format!("{number} {TEXT}");
            (
                conversations.control,
                conversations.write_request(conversations.conversation(number), &text),
                201,
            )
        })
    };
    let (requests, streamed) = streamed::follow(&conversations.api, expected, PATIENCE, write)?;
    let delays = streamed.received.values().map(|(number, at)| {
        let number = usize::try_from(*number)?;
        let request = requests.iter().find(|request| request.number == number);
        Ok(at.saturating_sub(request.context("a text of nobody")?.began))
    });
    delays.collect()
}

/// Returns the nanoseconds from each answer of berth to the event that tells `sent`.
fn sent(conversations: &Conversations) -> Result<Vec<u64>> {
    let expected = ExpectedMessages { received: 0, sent: TEXTS };
    let write = || {
        on_schedule(|number| {
            let text = format!("{number} {TEXT}");
            (
                conversations.address,
                conversations.send_request(conversations.conversation(number), 0, &text),
                202,
            )
        })
    };
    let (requests, streamed) = streamed::follow(&conversations.api, expected, PATIENCE, write)?;
    let delays = requests.iter().map(|request| {
        let id = request.answer["waMessageId"].as_str().context("no id")?;
        let at = streamed.sent.get(id).context("a message is not told")?;
        Ok(at.saturating_sub(request.answered))
    });
    delays.collect()
}

/// Sends the requests of a round on the schedule, each to its address, and expects their status.
fn on_schedule(
    request: impl Fn(usize) -> (std::net::SocketAddr, Vec<u8>, u16) + Sync,
) -> Result<Vec<TimedRequest>> {
    let (start, rate) = (Instant::now() + HEAD_START, float(RATE as u64));
    run_on_threads(WRITERS, |which| {
        reduce_timer_slack()?;
        let mut connection = Connection::open(request(which).0)?;
        let mut requests = Vec::new();
        for number in (which..TEXTS).step_by(WRITERS) {
            let (_, bytes, status) = request(number);
            let after = due(number, rate);
            thread::sleep((start + after).saturating_duration_since(Instant::now()));
            let began = now();
            let reply = connection.ask(&bytes)?;
            let answered = now();
            let text = String::from_utf8_lossy(reply.body);
            ensure!(reply.status == status, "{}: {text}", reply.status);
            let answer = serde_json::from_slice(reply.body).context("not JSON")?;
            requests.push(TimedRequest { number, began, answered, answer });
            let late = start.elapsed().saturating_sub(after);
            ensure!(late < MAX_DELAY, "{rate:.0} texts a second are too many");
        }
        Ok(requests)
    })
}

impl MessageDelays {
    /// Appends the rows.
    pub(super) fn describe(&self, name: &str, found: &mut Findings) -> Result<()> {
        self.received.describe(&format!("phone to stream, {name}"), None, None, found)?;
        self.sent.describe(&format!("accepted to `sent`, {name}"), None, None, found)
    }
}

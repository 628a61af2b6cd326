//! Texts from phones to sessions and from callers to phones, beside accounts of the simulator that
//! exchange the same texts without berth.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use testbed::{parallel::run_on_threads, postgres::Cluster, sessions::path_of, wait};

use super::{
    TEXT,
    conversations::{CONTACTS, CONVERSATIONS, Conversations},
    databases,
    delay::{self, MessageDelays},
    exchange,
    streamed::{self, ExpectedMessages, StreamedMessages},
};
use crate::{
    Setup,
    aim::Aim,
    connection::Connection,
    figure::{ComparedFigure, Findings},
    session_writer::now,
    spread::float,
};

/// Connections of the callers, a multiple of the number of sessions.
pub(super) const CONNECTIONS: usize = 2 * CONVERSATIONS;
/// Texts of a request to a simulated phone.
const BULK: usize = 100;
/// Upper bound of a round.
const PATIENCE: Duration = Duration::from_secs(300);
/// Target of the ratio to the simulator alone.
const AIM: Aim = Aim::AtLeast(0.5);

/// The texts of each session in a part of a round.
#[derive(Debug)]
struct Texts {
    /// Texts from its first contact.
    received: usize,
    sent: usize,
    /// Number of contacts that it sends to.
    contacts: usize,
}

/// The rates of all rounds.
#[derive(Debug, Default)]
struct TextRates {
    received: Vec<f64>,
    sent: Vec<f64>,
    /// To several contacts of each session.
    spread: Vec<f64>,
    both: Vec<f64>,
    alone: Vec<f64>,
}

/// Runs the measurement.
pub(super) fn measure(setup: &Setup, found: &mut Findings) -> Result<()> {
    for (name, cluster) in databases()? {
        measure_on(setup, name, cluster, found)?;
    }
    Ok(())
}

fn measure_on(
    setup: &Setup,
    name: &str,
    cluster: Option<Cluster>,
    found: &mut Findings,
) -> Result<()> {
    let conversations = Conversations::start(setup, cluster)?;
    let (mut rates, mut delays) = (TextRates::default(), MessageDelays::default());
    let mut total = CONTACTS;
    let texts = setup.size.texts;
    let tail = || conversations.stack.tail();
    let run = |texts: &Texts| run(&conversations, texts).with_context(tail);
    // The first texts of a chat open the encrypted sessions.
    run(&Texts { received: 1, sent: 0, contacts: 1 })?;
    run(&Texts { received: 0, sent: CONTACTS, contacts: CONTACTS })?;
    for round in 1..=setup.size.rounds {
        println!("  end to end on {name}, round {round} of {}", setup.size.rounds);
        rates.alone.push(exchange::rate(setup, texts)?);
        rates.received.push(run(&Texts { received: texts, sent: 0, contacts: 1 })?);
        rates.sent.push(run(&Texts { received: 0, sent: texts, contacts: 1 })?);
        rates.spread.push(run(&Texts { received: 0, sent: texts, contacts: CONTACTS })?);
        rates.both.push(run(&Texts { received: texts, sent: texts, contacts: 1 })?);
        delay::measure(&conversations, &mut delays).with_context(tail)?;
        total += 3 * texts;
    }
    check(&conversations, total + delay::texts_of_a_session(setup.size.rounds))
        .with_context(tail)?;
    rates.describe(name, found)?;
    delays.describe(name, found)
}

/// Lets the phones write and the sessions send, and returns the texts per second.
fn run(conversations: &Conversations, texts: &Texts) -> Result<f64> {
    let Texts { received, sent, .. } = *texts;
    let expected =
        ExpectedMessages { received: received * CONVERSATIONS, sent: sent * CONVERSATIONS };
    let began = now();
    let write = || {
        let (writers, senders) = (CONVERSATIONS, if sent > 0 { CONNECTIONS } else { 0 });
        run_on_threads(writers + senders, |which| {
            if which < writers {
                write(conversations, which, received)?;
                return Ok(Vec::<()>::new());
            }
            send(conversations, which - writers, texts)
        })
    };
    let (_, streamed) = streamed::follow(&conversations.api, expected, PATIENCE, write)?;
    Ok(rate(&streamed, began))
}

/// Returns the messages per second until the last one.
fn rate(streamed: &StreamedMessages, began: u64) -> f64 {
    let received = streamed.received.values().map(|(_, at)| *at);
    let last = received.chain(streamed.sent.values().copied()).max().unwrap_or(began);
    let count = streamed.received.len() + streamed.sent.len();
    float(count as u64) * 1e9 / float(last.saturating_sub(began).max(1))
}

fn write(conversations: &Conversations, which: usize, texts: usize) -> Result<()> {
    let conversation = conversations.conversation(which);
    let texts: Vec<_> = (0..texts).map(|number| format!("{number} {TEXT}")).collect();
    for part in texts.chunks(BULK) {
        conversation.contacts[0].send_texts(&conversation.number, part)?;
    }
    Ok(())
}

/// Sends the texts of one connection.
fn send(conversations: &Conversations, which: usize, texts: &Texts) -> Result<Vec<()>> {
    let conversation = conversations.conversation(which);
    let mut connection = Connection::open(conversations.address)?;
    for number in (which / CONVERSATIONS..texts.sent).step_by(CONNECTIONS / CONVERSATIONS) {
        let request = conversations.send_request(
            conversation,
            number % texts.contacts,
            &format!("{number} {TEXT}"),
        );
        let reply = connection.ask(&request)?;
        let text = String::from_utf8_lossy(reply.body);
        ensure!(reply.status == 202, "send: {}: {text}", reply.status);
    }
    Ok(Vec::new())
}

/// Checks that the contacts of each session show this number of its texts, and no text twice.
fn check(conversations: &Conversations, texts: usize) -> Result<()> {
    for conversation in &conversations.all {
        let path = path_of(&conversation.session.id, "/messages?status=queued&limit=1");
        let mut shown = Vec::new();
        let all = wait::until_true("the phones show every text", PATIENCE, || {
            let queued = conversations.api.get(&path)?.expect(200)?.json();
            shown.clear();
            for contact in &conversation.contacts {
                let messages = contact.messages()?.into_iter().filter(|it| !it.from_me);
                shown.extend(messages.map(|it| it.id));
            }
            Ok(shown.len() >= texts && queued["data"].as_array().is_some_and(Vec::is_empty))
        });
        all.with_context(|| format!("{} texts of {texts}", shown.len()))?;
        ensure!(shown.len() == texts, "{} texts instead of {texts}", shown.len());
        shown.sort_unstable();
        shown.dedup();
        ensure!(shown.len() == texts, "a text is shown twice");
    }
    Ok(())
}

impl TextRates {
    fn describe(&self, name: &str, found: &mut Findings) -> Result<()> {
        let spread = format!("sent in {CONTACTS} chats");
        for (what, rates) in [
            ("received", &self.received),
            ("sent in one chat", &self.sent),
            (&spread, &self.spread),
            ("received and sent at once", &self.both),
        ] {
            let title = format!("texts/s, {what} of each session: {name}");
            let figure = ComparedFigure::new(title, 0, rates, &self.alone)?;
            let ratio = figure.median_ratio();
            let sentence = format!("{}: {ratio:.2} of the simulator alone", figure.name);
            found.sentences.push(AIM.judge(ratio, &sentence, 2));
            found.figures.push(figure);
        }
        Ok(())
    }
}

//! Texts from phones to sessions and from callers to phones, beside accounts of the simulator that
//! exchange the same texts without berth.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use testbed::{parallel::run_on_threads, postgres::Cluster, sessions::path_of, wait};

use super::{
    WORDS, databases,
    delay::{self, MessageDelays},
    exchange,
    lines::{LINES, Lines},
    told::{self, Expected, Told},
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
pub(super) const CONNECTIONS: usize = 2 * LINES;
/// Texts of a request to a simulated phone.
const BULK: usize = 100;
/// Upper bound of a round.
const PATIENCE: Duration = Duration::from_secs(300);
/// Target of the ratio to the simulator alone.
const AIM: Aim = Aim::AtLeast(0.5);

/// The rates of all rounds.
#[derive(Debug, Default)]
struct Rates {
    received: Vec<f64>,
    sent: Vec<f64>,
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
    let lines = Lines::start(setup, cluster)?;
    let (mut rates, mut delays) = (Rates::default(), MessageDelays::default());
    let mut total = 0;
    let texts = setup.size.texts;
    let tail = || lines.stack.tail();
    // The first texts of a chat open the encrypted sessions.
    run(&lines, 1, 0).with_context(tail)?;
    run(&lines, 0, 1).with_context(tail)?;
    for round in 1..=setup.size.rounds {
        println!("  end to end on {name}, round {round} of {}", setup.size.rounds);
        rates.alone.push(exchange::rate(setup, texts)?);
        rates.received.push(run(&lines, texts, 0).with_context(tail)?);
        rates.sent.push(run(&lines, 0, texts).with_context(tail)?);
        rates.both.push(run(&lines, texts, texts).with_context(tail)?);
        delay::measure(&lines, &mut delays).with_context(tail)?;
        total += 2 * texts;
    }
    check(&lines, 1 + total + delay::texts_of_a_session(setup.size.rounds)).with_context(tail)?;
    rates.describe(name, found)?;
    delays.describe(name, found)
}

/// Lets the phones write and the sessions send these numbers of texts of each session, and returns
/// the texts per second.
fn run(lines: &Lines, received: usize, sent: usize) -> Result<f64> {
    let expected = Expected { received: received * LINES, sent: sent * LINES };
    let began = now();
    let write = || {
        let (writers, senders) = (LINES, if sent > 0 { CONNECTIONS } else { 0 });
        run_on_threads(writers + senders, |which| {
            if which < writers {
                write(lines, which, received)?;
                return Ok(Vec::<()>::new());
            }
            send(lines, which - writers, sent)
        })
    };
    let (_, told) = told::follow(&lines.api, expected, PATIENCE, write)?;
    Ok(rate(&told, began))
}

/// Returns the messages per second until the last one.
fn rate(told: &Told, began: u64) -> f64 {
    let received = told.received.values().map(|(_, at)| *at);
    let last = received.chain(told.sent.values().copied()).max().unwrap_or(began);
    let count = told.received.len() + told.sent.len();
    float(count as u64) * 1e9 / float(last.saturating_sub(began).max(1))
}

fn write(lines: &Lines, which: usize, texts: usize) -> Result<()> {
    let line = lines.line(which);
    let texts: Vec<_> = (0..texts).map(|number| format!("{number} {WORDS}")).collect();
    for part in texts.chunks(BULK) {
        line.contact.send_texts(&line.number, part)?;
    }
    Ok(())
}

/// Sends the texts of one connection.
fn send(lines: &Lines, which: usize, texts: usize) -> Result<Vec<()>> {
    let line = lines.line(which);
    let mut connection = Connection::open(lines.address)?;
    for number in (which / LINES..texts).step_by(CONNECTIONS / LINES) {
        let request = lines.send_request(line, &format!("{number} {WORDS}"));
        let reply = connection.ask(&request)?;
        let text = String::from_utf8_lossy(reply.body);
        ensure!(reply.status == 202, "send: {}: {text}", reply.status);
    }
    Ok(Vec::new())
}

/// Checks that every phone shows every text that it has to show, and no text twice.
fn check(lines: &Lines, texts: usize) -> Result<()> {
    for line in &lines.lines {
        let path = path_of(&line.session.id, "/messages?status=queued&limit=1");
        let mut shown = Vec::new();
        let all = wait::until_true("the phone shows every text", PATIENCE, || {
            let queued = lines.api.get(&path)?.expect(200)?.json();
            let messages = line.contact.messages()?;
            shown = messages.into_iter().filter(|it| !it.from_me).map(|it| it.id).collect();
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

impl Rates {
    fn describe(&self, name: &str, found: &mut Findings) -> Result<()> {
        for (what, rates) in [
            ("received", &self.received),
            ("sent", &self.sent),
            ("received and sent at once", &self.both),
        ] {
            let title = format!("texts/s, {what}: {name}");
            let figure = ComparedFigure::new(title, 0, rates, &self.alone)?;
            let ratio = figure.median_ratio();
            let sentence = format!("{}: {ratio:.2} of the simulator alone", figure.name);
            found.sentences.push(AIM.judge(ratio, &sentence, 2));
            found.figures.push(figure);
        }
        Ok(())
    }
}

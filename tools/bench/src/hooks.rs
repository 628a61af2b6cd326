//! Deliveries to webhooks: their rate to receivers that work, the time from a commit to its delivery,
//! receivers of another organization that hang, and a receiver that comes back.

mod delay;
mod deployment;
mod neighbour;
mod rate;
mod recorder;
mod recovery;
mod stored;
mod usage;

use std::fs;

use anyhow::{Context as _, Result};
use testbed::process;

use self::stored::StoredEvents;

use crate::{
    Setup,
    chapter::{Chapter, Table},
    figure::{Findings, shown},
};

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    process::allow_connections()?;
    let mut found = Findings::default();
    for part in [rate::measure, delay::measure, measure_stored] {
        part(setup, &mut found)?;
    }
    let mut table = Table::new(["webhooks", "berth", "reference", "ratio"]);
    for figure in found.figures {
        table.row(figure.row());
    }
    Ok(Chapter {
        title: "Webhooks",
        method: method(setup),
        table,
        findings: found.sentences,
        broken: Vec::new(),
    })
}

/// Measures what many stored events behind webhooks cost.
fn measure_stored(setup: &Setup, found: &mut Findings) -> Result<()> {
    for (name, cluster) in deployment::databases()? {
        let folder = setup.scratch.path().join("hooks");
        let file = folder.join("berth.db");
        let stored = StoredEvents::start(setup, &file, cluster, neighbour::WEBHOOKS)?;
        let measured = neighbour::measure(setup, name, &stored, found)
            .and_then(|()| recovery::measure(setup, name, &stored, found));
        measured.with_context(|| stored.deployment.stack.tail())?;
        drop(stored);
        let _ = fs::remove_dir_all(folder); // frees the disk
    }
    Ok(())
}

fn method(setup: &Setup) -> String {
    let size = setup.size;
    format!(
        "The receiver is one thread of the client, which answers every request with 204 over sockets \
         without a library. *Rate*: {} webhooks of {} organizations are paused, sessions are created, \
         and the webhooks are resumed; the rate counts the deliveries of `session.created` between the \
         first and the last tenth of {}. The reference is hyper alone in a process of its own, which \
         sends recorded requests of berth to the same receiver, over as many connections as berth had \
         open at most. *Commits* are, on SQLite, the writes of progress that berth reports, and on \
         PostgreSQL the transactions that write, by their ids; both include those of `:resume`. \
         *Delay*: {} sessions a second are created on a schedule, in {} organizations with a webhook \
         each; the time from the answer to the request until the receiver has the delivery, and 0 if \
         the delivery comes first. *Other router*: another router over the same database commits, and \
         delivers nothing. *Neighbour*: one organization has {} webhooks whose receiver never answers, \
         and {} stored events behind each of them; another organization creates {} sessions a second \
         with one webhook, with the others paused and resumed in turn. The memory is that of berth at \
         the end of each. *Recovery*: the receiver of one webhook answers 503, with as many events \
         behind it, until berth has stopped the deliveries; then it answers 204, and the webhook is \
         resumed. The rate counts the next {} s as above; the reference is hyper alone over {} \
         connections, as many as berth uses for one webhook. Seeded events were written by SQL, and the \
         webhooks moved before them. {} rounds; the table shows median and range, and ratios are taken \
         round by round. Receivers and clients run on the same cores as berth.",
        rate::WEBHOOKS,
        rate::ORGANIZATIONS,
        shown(size.deliveries),
        delay::RATE,
        delay::ORGANIZATIONS,
        neighbour::WEBHOOKS,
        shown(size.events),
        delay::RATE,
        recovery::WINDOW.as_secs(),
        recovery::IN_FLIGHT,
        size.rounds,
    )
}

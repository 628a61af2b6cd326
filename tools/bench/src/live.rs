//! Event streams: the time from a commit to its event, one organization with many streams, many idle
//! streams, and a reader that has to catch up.

mod catch_up;
mod delay;
mod fan_out;
mod idle;

use anyhow::Result;
use testbed::process;

use crate::{
    Setup,
    chapter::{Chapter, Table},
    figure::shown,
    rounds::ROUNDS,
};

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    process::allow_connections()?;
    let mut chapter = Chapter {
        title: "Event streams",
        method: method(setup),
        table: Table::new(["event streams", "berth", "reference", "ratio"]),
        findings: Vec::new(),
        broken: Vec::new(),
    };
    for part in [delay::measure, fan_out::measure, idle::measure, catch_up::measure] {
        let (figures, findings) = part(setup)?;
        for figure in figures {
            chapter.table.row(figure.row());
        }
        chapter.findings.extend(findings);
    }
    Ok(chapter)
}

fn method(setup: &Setup) -> String {
    let size = setup.size;
    format!(
        "*Delay*: {} sessions a second are created on a schedule, in {} organizations, each with {} \
         streams; the session's label names the request. The delay of an event is the time from \
         the answer to its request until the client has read it, and 0 if the event comes before \
         the answer. On PostgreSQL, half of the streams are at the router that commits and half at \
         another one. The reference is hyper alone, which sends the same block to as many streams, \
         as often, at planned times; its delay counts from the planned time. *Fan-out*: {} streams \
         of one organization get the events of {} sessions, which are created as fast as possible; \
         the rate counts events read by all clients, from the first request to the last event at \
         the last client. The reference is hyper alone, which sends the same blocks to as many \
         connections, one block a write. *Idle*: {} streams of organizations without changes. The \
         memory is that of berth after all have opened, less that before, beside hyper alone with as \
         many; the processor time is that of 15 s, in which each stream gets a bookmark; `GET` of a \
         session runs over {} connections, with the streams and without, in turn. \
         *Late reader*: one client reads {} stored events of one organization from the oldest. The \
         references read the same rows in the same order: `COPY … TO STDOUT` by psql, and SQLite in \
         this process, with every column. {ROUNDS} rounds, of the late reader {}; the table shows \
         median and range, and ratios are taken round by round. All clients run in one thread on \
         the same cores.",
        shown(size.delay_rate()),
        delay::ORGANIZATIONS,
        size.delay_streams() / delay::ORGANIZATIONS,
        shown(size.fan_out_streams()),
        shown(fan_out::EVENTS),
        shown(size.streams),
        idle::CONNECTIONS,
        shown(size.events),
        catch_up::ROUNDS,
    )
}

//! `kill -9` of routers in a storm of changes, while clients follow the events.
//!
//! Each client gets each event once, in one order for all clients and in the order of `sequence` for
//! each session, and at the end has exactly the audit log. A client that is cut off resumes by
//! `Last-Event-ID` at any router.
//!
//! [`Observation`] is what an observer got. The receiver of a webhook is another observer: its first
//! arrivals pass the same checks, and its copies are counted. A webhook that is deleted gets no
//! further request.

mod hooks;
mod observation;
mod reader;
mod routers;
mod writers;

use std::{ops::RangeInclusive, thread, time::Duration};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{checks::Checks, random::Random, sessions::Owned};

use self::{
    hooks::{Hook, HookResult},
    observation::{Acknowledged, AuditLog, Observation},
    reader::{LAST, Reader},
    routers::{Client, Routers},
    writers::Writers,
};
use crate::Plan;

const ORGANIZATIONS: usize = 2;
/// Clients of one organization.
const READERS: usize = 6;
/// Maximum pause between a recovery and the next kill in milliseconds.
const PAUSE: u64 = 400;
/// One kill in this number hits all routers at the same time.
const ALL: u64 = 10;
/// Upper bound of the time to the last event.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the suite.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    let kills = plan.trials.unwrap_or(plan.extent.choose(20, 1_000));
    let mut routers = Routers::start(plan)?;
    let clients = (0..ORGANIZATIONS).map(|number| routers.client(number));
    let clients: Vec<_> = clients.collect::<Result<_>>()?;
    let hooks: Vec<_> = clients.iter().map(Hook::start).collect::<Result<_>>()?;
    let deleted: Vec<_> = clients.iter().map(Hook::start).collect::<Result<_>>()?;
    let readers: Vec<Vec<_>> = clients
        .iter()
        .map(|client| (0..READERS).map(|which| Reader::start(client, plan.seed, which)).collect())
        .collect();
    let writers: Vec<_> = clients.iter().map(|client| Writers::start(client, plan.seed)).collect();
    hooks.iter().chain(&deleted).try_for_each(|hook| hook.wait_for_request(PATIENCE))?;
    kill(&mut routers, plan, 1..=kills / 2, checks);
    let deleted = deleted.into_iter().zip(&clients);
    let deleted = deleted.map(|(hook, client)| hook.delete(&client.routers, PATIENCE));
    let deleted: Vec<_> = deleted.collect::<Result<_>>()?;
    kill(&mut routers, plan, kills / 2 + 1..=kills, checks);
    // Writers of one organization would slow the deliveries of the other one.
    let changes: Vec<_> = writers.into_iter().map(Writers::end).collect::<Result<_>>()?;
    let mut counts = Counts::default();
    let observers = changes.iter().zip(readers).zip(hooks).zip(&deleted);
    for (client, (((changes, readers), hook), deleted)) in clients.iter().zip(observers) {
        let name = format!("{}: {}", plan.database.name(), client.organization);
        let followed = follow_to_the_end(client, changes, readers, &mut counts)
            .and_then(|(log, streams)| Ok((hook.finish(&log, kills, PATIENCE)?, log, streams)))
            .map_err(|error| anyhow!("{error:#}\n{}", routers.tail()));
        let (HookResult { observation, copies }, log, observations) =
            followed.with_context(|| name.clone())?;
        counts.copies += copies;
        checks.check(&format!("{name}: a deleted webhook is quiet"), || deleted.must_be_quiet());
        for observation in observations.iter().chain([&observation]) {
            let name = format!("{name}, {}: each event once and in order", observation.name);
            checks.check(&name, || log.must_equal(observation));
        }
        checks.check(&format!("{name}: all clients have one order"), || one_order(&observations));
    }
    Ok(format!(
        "{kills} kills of {} routers, {} clients that resumed {} times, {} events, {} copies at \
         webhooks",
        routers.count(),
        ORGANIZATIONS * READERS,
        counts.resumed,
        counts.events,
        counts.copies,
    ))
}

/// The figures of the closing sentence.
#[derive(Debug, Default)]
struct Counts {
    resumed: usize,
    events: usize,
    copies: usize,
}

/// Kills routers at random moments, one kill after the other, and starts them again.
fn kill(routers: &mut Routers, plan: &Plan, numbers: RangeInclusive<usize>, checks: &mut Checks) {
    let mut random = Random::seeded(plan.seed, *numbers.start() as u64);
    for number in numbers {
        let victims = if random.below(ALL) == 0 {
            (0..routers.count()).collect()
        } else {
            vec![usize::try_from(random.below(routers.count() as u64)).unwrap_or_default()]
        };
        let pause = Duration::from_millis(random.below(PAUSE));
        let name = format!("{}: kill {number}", plan.database.name());
        checks.check(&format!("{name}, routers {victims:?}"), || {
            thread::sleep(pause); // the kill may hit any instant
            routers.kill_and_start(&victims)
        });
    }
}

/// Writes a last event, and waits until every reader has it. Checks that every acknowledged change is
/// in the audit log.
fn follow_to_the_end(
    client: &Client,
    acknowledged: &[Acknowledged],
    readers: Vec<Reader>,
    counts: &mut Counts,
) -> Result<(AuditLog, Vec<Observation>)> {
    Owned::create(&client.routers[0], LAST)?;
    let mut observations = Vec::new();
    for reader in readers {
        let (observation, resumed) = reader.finish(PATIENCE)?;
        counts.resumed += resumed;
        observations.push(observation);
    }
    let log = AuditLog::read(&client.routers[0])?;
    counts.events += log.count();
    for change in acknowledged {
        ensure!(log.contains(change), "acknowledged and not in the audit log: {change:?}");
    }
    Ok((log, observations))
}

fn one_order(observations: &[Observation]) -> Result<()> {
    for pair in observations.windows(2) {
        let [one, other] = pair else { continue };
        let difference = one.ids().zip(other.ids()).position(|(one, other)| one != other);
        let names = (&one.name, &other.name);
        ensure!(difference.is_none(), "{names:?} differ after {difference:?} events");
    }
    Ok(())
}

//! Every connection silent or closed, in each direction and in both, under a linked session.
//!
//! During the fault, the visible state becomes true within the deadline. After the repair, the
//! session works again with the same link and one connection.

mod encrypted;
mod refusing;

use std::{fmt, thread};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{
    checks::Checks,
    options::DatabaseKind,
    postgres::Cluster,
    sessions::{Owned, SESSIONS, path},
    wait,
};

use crate::{
    Plan,
    deadlines::Deadlines,
    fleet::{Fleet, Wire},
    proxy::{Direction, Flow},
    watch::{Connection, Truth, Watched},
};

/// A connection and its fault.
#[derive(Clone, Copy, Debug)]
struct Case {
    wire: Wire,
    directions: &'static [Direction],
    flow: Flow,
}

/// Each direction alone, and both.
const WAYS: [&[Direction]; 3] =
    [&[Direction::There], &[Direction::Back], &[Direction::There, Direction::Back]];
/// The connections of a node, which do not depend on the database.
const OF_A_NODE: [Wire; 3] = [Wire::RouterToNode, Wire::NodeToRouter, Wire::NodeToWhatsApp];

/// Runs all cases at the same time: most of a case is waiting.
pub(crate) fn run(plan: &Plan, checks: &mut Checks) -> Result<String> {
    let cluster = match plan.database {
        DatabaseKind::Sqlite => None,
        DatabaseKind::Postgres => Some(Cluster::start()?),
    };
    // The connections of a node do not depend on the database: the small size breaks them with
    // SQLite only.
    let of_a_node = cluster.is_none() || plan.extent.choose(false, true);
    let of_a_node = OF_A_NODE.iter().filter(|_| of_a_node);
    let wires: Vec<_> = of_a_node.chain(cluster.iter().map(|_| &Wire::RouterToDatabase)).collect();
    let cases: Vec<_> = wires.into_iter().flat_map(|wire| Case::all(*wire)).collect();
    let outcomes = thread::scope(|scope| {
        let cluster = cluster.as_ref();
        let mut running: Vec<_> = cases
            .into_iter()
            .map(|case| (case.to_string(), scope.spawn(move || case.run(plan, cluster))))
            .collect();
        let refusing = refusing::name(plan.database).to_owned();
        running.push((refusing, scope.spawn(|| refusing::run(plan))));
        if cluster.is_none() {
            running.push((encrypted::NAME.to_owned(), scope.spawn(|| encrypted::run(plan))));
        }
        let ended = running
            .into_iter()
            .map(|(name, one)| (name, one.join().unwrap_or_else(|_| Err(anyhow!("it panicked")))));
        ended.collect::<Vec<_>>()
    });
    let count = outcomes.len();
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    for (name, outcome) in outcomes {
        checks.check(&format!("{}: {name}", plan.database.name()), || outcome);
    }
    Ok(format!("{count} faults of wires and database, {failed} end wrong"))
}

impl Case {
    fn all(wire: Wire) -> impl Iterator<Item = Self> {
        [Flow::Swallow, Flow::Cut].into_iter().flat_map(move |flow| {
            WAYS.into_iter().map(move |directions| Self { wire, directions, flow })
        })
    }

    fn run(self, plan: &Plan, cluster: Option<&Cluster>) -> Result<()> {
        let name = format!("wires-{}-{self}", plan.database.name());
        let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-").to_lowercase();
        let fleet = Fleet::start(plan, &name, cluster)?;
        self.break_and_mend(plan, &fleet).map_err(|error| anyhow!("{error:#}\n{}", fleet.tail()))
    }

    fn break_and_mend(self, plan: &Plan, fleet: &Fleet) -> Result<()> {
        let deadlines = match (self.wire, self.flow) {
            (Wire::NodeToWhatsApp, Flow::Swallow) => Deadlines::by_the_engine(),
            _ => Deadlines::of(plan.extent),
        };
        let api = fleet.client()?;
        let watched = Watched::link(fleet.stack(), Owned::create(&api, "watched")?)?;
        let wire = fleet.wire(self.wire)?;
        wire.set(self.directions, self.flow);
        let made = api.post(SESSIONS, &serde_json::json!({ "label": "made meanwhile" }))?;
        let broken = watched.must_become_true(self.truth(), deadlines.truth);
        wire.mend();
        broken.context("while it is broken")?;
        watched.must_recover(deadlines.recovery).context("after it was mended")?;
        if made.status == 201 {
            let id = made.json()["id"].as_str().context("a session has an id")?.to_owned();
            api.get(&path(&id))?.expect(200).context("acknowledged, and gone")?;
        }
        let whatsapp = fleet.wire(Wire::NodeToWhatsApp)?;
        wait::until("one connection to WhatsApp", deadlines.recovery, || {
            ensure!(whatsapp.open() == 1, "{} connections to WhatsApp", whatsapp.open());
            Ok(Some(()))
        })
    }

    fn truth(self) -> Truth {
        Truth {
            ready: self.wire != Wire::RouterToDatabase,
            connection: match self.wire {
                Wire::RouterToNode => Connection::Held,
                // No heartbeat renews the node's lease.
                Wire::NodeToRouter | Wire::RouterToDatabase => Connection::Closed,
                Wire::NodeToWhatsApp => Connection::Dead,
            },
            node_answers: self.wire != Wire::RouterToNode,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = match self.wire {
            Wire::RouterToNode => "router to node",
            Wire::NodeToRouter => "node to router",
            Wire::NodeToWhatsApp => "node to WhatsApp",
            Wire::RouterToDatabase => "router to database",
        };
        let way = match self.directions {
            [Direction::There] => "there",
            [Direction::Back] => "back",
            _ => "both ways",
        };
        let how = match self.flow {
            Flow::Swallow => "silent",
            Flow::Cut => "cut",
            Flow::Pass => "whole",
        };
        write!(f, "{wire} {how} {way}")
    }
}

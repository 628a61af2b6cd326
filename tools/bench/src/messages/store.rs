//! The way of deliveries into the store, beside a bare client of the database that writes the same
//! rows.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use testbed::{parallel::run_on_threads, postgres::Cluster};

use super::{
    bare_client::BareClient,
    databases,
    prepared::{ITEMS, LANES, PreparedRound, SESSIONS},
    stand_in::StandIn,
};
use crate::{
    Setup,
    aim::Aim,
    figure::{ComparedFigure, Findings},
    spread::float,
};

/// Target of the ratio to the bare client.
const AIM: Aim = Aim::AtLeast(0.5);

/// Runs the measurement.
pub(super) fn measure(setup: &Setup, found: &mut Findings) -> Result<()> {
    for (name, cluster) in databases()? {
        let figure = measure_on(setup, name, cluster)?;
        let ratio = figure.median_ratio();
        let sentence = format!("{}: {ratio:.2} of the bare client", figure.name);
        found.sentences.push(AIM.judge(ratio, &sentence, 2));
        found.figures.push(figure);
    }
    Ok(())
}

fn measure_on(setup: &Setup, name: &str, cluster: Option<Cluster>) -> Result<ComparedFigure> {
    let of_lane = (setup.size.items / ITEMS / LANES).max(1);
    let mut node = StandIn::start(setup, "store", cluster, SESSIONS)?;
    // Creates the chats.
    let first = PreparedRound::new(&node, 0, 1);
    deliver(&node, &first).with_context(|| node.stack.tail())?;
    let mut alone = BareClient::copy(setup, &mut node)?;
    let (mut next, mut delivered) = (first.end, first.items());
    let (mut of_berth, mut of_client) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=setup.size.rounds {
        println!("  store on {name}, round {round} of {}", setup.size.rounds);
        let prepared = PreparedRound::new(&node, next, of_lane);
        let took = deliver(&node, &prepared).with_context(|| node.stack.tail())?;
        let alone_took = alone.repeat(&node, &prepared)?;
        (next, delivered) = (prepared.end, delivered + prepared.items());
        if round > 0 {
            let items = float(prepared.items() as u64);
            of_berth.push(items / took);
            of_client.push(items / alone_took);
        }
    }
    let (stored, written) = alone.counts()?;
    ensure!(stored == delivered, "{stored} messages are stored of {delivered}");
    ensure!(written == delivered, "the bare client wrote {written} messages of {delivered}");
    ComparedFigure::new(format!("store, messages/s: {name}"), 0, &of_berth, &of_client)
}

/// Delivers a round and returns its seconds.
fn deliver(node: &StandIn, round: &PreparedRound) -> Result<f64> {
    let mut connections = Vec::new();
    for lane in 0..LANES {
        connections.push(std::sync::Mutex::new(node.connect(lane == 0)?));
    }
    let began = Instant::now();
    run_on_threads(LANES, |lane| {
        let mut connection = connections[lane].lock().map_err(|_| anyhow::anyhow!("a panic"))?;
        for batch in &round.lanes[lane] {
            connection.deliver(&batch.body, SESSIONS / LANES, batch.through)?;
        }
        Ok(Vec::<()>::new())
    })?;
    Ok(began.elapsed().as_secs_f64())
}

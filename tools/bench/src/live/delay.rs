//! The time from a commit to its event at the client, beside hyper alone on a timetable.

use std::{thread, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use testbed::{client::Credential, folder::random_hex, http, postgres::Cluster, stack::Stack};
use tokio::{runtime, task::JoinSet, time::timeout};

use crate::followed::{Followed, StreamRequest};
use crate::{
    Setup,
    aim::Aim,
    bare_streams::{self, BareStreams},
    connection::stream_request,
    delays::DelayRounds,
    figure::{ComparedFigure, Findings},
    options::Size,
    rounds::ROUNDS,
    session_writer::{SessionWriter, label, now},
    spread::float,
};

pub(super) const ORGANIZATIONS: usize = 10;
/// Duration of a round.
const ROUND: Duration = Duration::from_secs(4);
/// Connections of the writer; enough that a request does not wait for an earlier answer.
const WRITERS: usize = 16;
/// Upper bound of the time to the last event after the round.
const PATIENCE: Duration = Duration::from_secs(30);

/// The targets of p50 and p99 in milliseconds, at the router that commits and at another one.
const COMMITTING: [Aim; 2] = [Aim::AtMost(5.0), Aim::AtMost(25.0)];
const OTHER: [Aim; 2] = [Aim::AtMost(80.0), Aim::AtMost(200.0)];

/// The number of an event's request with the time at which a client has read it.
type Arrival = (u64, u64);

/// Routers over one database, of which the first commits.
struct Routers {
    stacks: Vec<Stack>,
    keys: Vec<Credential>,
    /// Dropped after the routers.
    _cluster: Option<Cluster>,
}

/// Runs the measurement.
pub(super) fn measure(setup: &Setup) -> Result<(Vec<ComparedFigure>, Vec<String>)> {
    let sqlite = Routers::start(setup, None)?;
    let postgres = Routers::start(setup, Some(Cluster::start_durable()?))?;
    let block = sqlite.block()?;
    let bare = BareStreams::start(setup, &["id: cur_0\n\n".to_owned(), block])?;
    let mut rounds: [DelayRounds; 4] = Default::default();
    for round in 1..=ROUNDS {
        println!("  delay, round {round} of {ROUNDS}");
        let size = setup.size;
        let [of_bare, of_sqlite, committing, other] = &mut rounds;
        of_bare.add(bare_delays(&bare, size)?)?;
        of_sqlite.add(sqlite.delays(size)?.0)?;
        let (here, there) = postgres.delays(size)?;
        committing.add(here)?;
        other.add(there)?;
    }
    let [of_bare, of_sqlite, committing, other] = &rounds;
    let mut found = Findings::default();
    for (name, delays, aims) in [
        ("SQLite", of_sqlite, COMMITTING),
        ("PostgreSQL, router that commits", committing, COMMITTING),
        ("PostgreSQL, other router", other, OTHER),
    ] {
        delays.describe(name, Some(of_bare), Some(aims), &mut found)?;
    }
    Ok((found.figures, found.sentences))
}

/// Returns the delays of hyper alone in nanoseconds.
fn bare_delays(bare: &BareStreams, size: Size) -> Result<Vec<u64>> {
    let frequency = size.delay_rate() / ORGANIZATIONS;
    let request = stream_request(bare.address, &format!("/timetable?{frequency}"), None);
    let asked = vec![StreamRequest { address: bare.address, request }; size.delay_streams()];
    let arrivals = follow(&asked, frequency * seconds(), || Ok(()))?.1;
    let delays = arrivals.into_iter().flatten();
    Ok(delays.map(|(planned, read)| read.saturating_sub(planned)).collect())
}

fn seconds() -> usize {
    usize::try_from(ROUND.as_secs()).unwrap_or_default()
}

impl Routers {
    fn start(setup: &Setup, cluster: Option<Cluster>) -> Result<Self> {
        let url = cluster.as_ref().map(|cluster| cluster.create_database("delay")).transpose()?;
        let count = if cluster.is_some() { 2 } else { 1 };
        let mut stacks = Vec::new();
        for number in 0..count {
            // Without nodes nothing works beside the streams.
            let settings = [
                ("BERTH_NODE_TOKENS", format!("gw-1={}", random_hex(20)?)),
                ("BERTH_LOG", "warn".to_owned()),
            ];
            let name = format!("bench-delay-{}-{number}", url.is_some());
            let logs = setup.scratch.path();
            stacks.push(Stack::start(&setup.programs, &name, logs, url.clone(), &settings)?);
        }
        let first = stacks.first().context("no routers")?;
        let keys =
            (0..ORGANIZATIONS).map(|number| first.key(&format!("org-{number}"), &["manage"]));
        let keys = keys.collect::<Result<_>>()?;
        Ok(Self { stacks, keys, _cluster: cluster })
    }

    /// Returns a block with an event whose label is to be replaced.
    fn block(&self) -> Result<String> {
        let api = self.stacks[0].api.with_credential(Some(self.keys[0].clone()));
        testbed::sessions::Owned::create(&api, bare_streams::LABEL)?;
        let headers = [("Accept", "application/json")];
        let page = "/api/v1/events?after=earliest&event=session.created";
        let page = api.send("GET", page, &headers, None)?.expect(200)?.json();
        bare_streams::block(&page["data"][0].to_string())
    }

    /// Returns the delays in nanoseconds at the router that commits, and at another one.
    fn delays(&self, size: Size) -> Result<(Vec<u64>, Vec<u64>)> {
        let addresses: Vec<_> = self
            .stacks
            .iter()
            .map(|stack| http::address(stack.api.base()))
            .collect::<Result<_>>()?;
        let asked = (0..size.delay_streams()).map(|which| {
            let address = addresses[which / ORGANIZATIONS % addresses.len()];
            let key = &self.keys[which % ORGANIZATIONS];
            let path = "/api/v1/events?event=session.created";
            StreamRequest { address, request: stream_request(address, path, Some(key)) }
        });
        let asked: Vec<_> = asked.collect();
        let credentials = self.keys.clone();
        let writer =
            SessionWriter { address: addresses[0], credentials, connections: WRITERS, padding: 0 };
        let count = size.delay_rate() * seconds();
        let rate = float(size.delay_rate() as u64);
        let write = || writer.write_on_schedule(rate, count);
        let (answers, arrivals) = follow(&asked, count / ORGANIZATIONS, write)?;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (asked, arrivals) in asked.iter().zip(arrivals) {
            let delays = if asked.address == addresses[0] { &mut here } else { &mut there };
            for (number, read) in arrivals {
                let answered = usize::try_from(number).ok().and_then(|number| answers.get(number));
                delays.push(read.saturating_sub(*answered.context("an event of nobody")?));
            }
        }
        Ok((here, there))
    }
}

/// Opens the streams, runs `write`, and reads this number of events of each stream. Returns the
/// result of `write` and the arrivals in the order of the requests.
fn follow<T: Send>(
    asked: &[StreamRequest],
    events: usize,
    write: impl FnOnce() -> Result<T> + Send,
) -> Result<(T, Vec<Vec<Arrival>>)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let mut followed = runtime.block_on(async {
        let mut followed = Vec::new();
        for asked in asked {
            followed.push(Followed::open(asked).await?);
        }
        Ok::<_, anyhow::Error>(followed)
    })?;
    thread::scope(|scope| {
        let writing = scope.spawn(write);
        let arrivals = runtime.block_on(async {
            let mut reading = JoinSet::new();
            for (which, mut followed) in followed.drain(..).enumerate() {
                reading.spawn(async move {
                    let mut arrivals = Vec::with_capacity(events);
                    let take = |event: &[u8]| {
                        arrivals.extend(label(event).map(|label| (label, now())));
                        arrivals.len() < events
                    };
                    followed.read_while(take).await.map(|()| (which, arrivals))
                });
            }
            timeout(ROUND + PATIENCE, reading.join_all()).await.context("events are missing")
        });
        let written = writing.join().map_err(|_| anyhow!("the writer panicked"))??;
        let mut arrivals = arrivals?.into_iter().collect::<Result<Vec<_>>>()?;
        arrivals.sort_unstable_by_key(|(which, _)| *which);
        Ok((written, arrivals.into_iter().map(|(_, arrivals)| arrivals).collect()))
    })
}

//! Many streams of one organization, beside hyper alone that sends the same bytes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use testbed::{client::Credential, folder::random_hex, http, stack::Stack};
use tokio::{
    runtime::{self, Runtime},
    task::JoinSet,
    time::timeout,
};

use crate::followed::{Followed, StreamRequest};
use crate::{
    Setup,
    aim::Aim,
    bare_streams::{self, BareStreams},
    connection::stream_request,
    figure::{ComparedFigure, shown},
    rounds::ROUNDS,
    session_writer::SessionWriter,
    spread::float,
};

/// Events of each stream in a round.
pub(super) const EVENTS: usize = 200;
/// Connections of the writer.
const WRITERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
/// Target of the ratio to hyper alone.
const AIM: Aim = Aim::AtLeast(0.6);

/// Runs the measurement.
pub(super) fn measure(setup: &Setup) -> Result<(Vec<ComparedFigure>, Vec<String>)> {
    let streams = setup.size.fan_out_streams();
    let many = (streams + 20).to_string();
    let settings = [
        ("BERTH_NODE_TOKENS", format!("gw-1={}", random_hex(20)?)),
        ("BERTH_LOG", "warn".to_owned()),
        ("BERTH_CREDENTIAL_STREAMS", many.clone()),
        ("BERTH_ORGANIZATION_STREAMS", many),
    ];
    let logs = setup.scratch.path();
    let stack = Stack::start(&setup.programs, "bench-fan-out", logs, None, &settings)?;
    let key = stack.key("bench", &["manage"])?;
    let address = http::address(stack.api.base())?;
    let writer =
        SessionWriter { address, credentials: vec![key.clone()], connections: WRITERS, padding: 0 };
    let blocks = blocks(&stack, &key, &writer)?;
    let bare = BareStreams::start(setup, &blocks)?;
    let (mut of_berth, mut of_bare) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        println!("  fan-out, round {round} of {ROUNDS}");
        let burst = stream_request(bare.address, "/burst", None);
        let burst = StreamRequest { address: bare.address, request: burst };
        of_bare.push(rate(streams, &burst, || bare.burst())?);
        let live = stream_request(address, "/api/v1/events", Some(&key));
        let live = StreamRequest { address, request: live };
        of_berth.push(rate(streams, &live, || writer.write(EVENTS).map(drop))?);
    }
    let name = format!("fan-out, events/s: {} streams", shown(streams));
    let figure = ComparedFigure::new(name, 0, &of_berth, &of_bare)?;
    let ratio = figure.median_ratio();
    let finding = AIM.judge(ratio, &format!("Fan-out: {ratio:.2} of hyper alone"), 2);
    Ok((vec![figure], vec![finding]))
}

/// Returns a bookmark and the events of new sessions as blocks.
fn blocks(stack: &Stack, key: &Credential, writer: &SessionWriter) -> Result<Vec<String>> {
    let address = http::address(stack.api.base())?;
    let live = stream_request(address, "/api/v1/events", Some(key));
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = StreamRequest { address, request: live };
    let mut followed = runtime.block_on(Followed::open(&asked))?;
    writer.write(EVENTS)?;
    let mut blocks = vec!["id: cur_0\n\n".to_owned()];
    let mut outcome = Ok(());
    runtime.block_on(followed.read_while(|event| {
        match bare_streams::block(&String::from_utf8_lossy(event)) {
            Ok(block) => blocks.push(block),
            Err(error) => outcome = Err(error),
        }
        outcome.is_ok() && blocks.len() <= EVENTS
    }))?;
    outcome.map(|()| blocks)
}

/// Opens the streams, lets the server send, and returns the events per second of all streams.
fn rate(
    streams: usize,
    asked: &StreamRequest,
    send: impl FnOnce() -> Result<()> + Send,
) -> Result<f64> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let followed = open(&runtime, streams, asked)?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let sending = scope.spawn(send);
        let read = runtime.block_on(async {
            let mut reading = JoinSet::new();
            for mut followed in followed {
                reading.spawn(async move {
                    let mut count = 0;
                    followed
                        .read_while(|_| {
                            count += 1;
                            count < EVENTS
                        })
                        .await
                });
            }
            timeout(PATIENCE, reading.join_all()).await.context("events are missing")
        });
        let took = began.elapsed();
        sending.join().map_err(|_| anyhow!("the writer panicked"))??;
        read?.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(float((streams * EVENTS) as u64) / took.as_secs_f64())
    })
}

fn open(runtime: &Runtime, streams: usize, asked: &StreamRequest) -> Result<Vec<Followed>> {
    runtime.block_on(async {
        let mut followed = Vec::with_capacity(streams);
        for _ in 0..streams {
            followed.push(Followed::open(asked).await?);
        }
        Ok(followed)
    })
}

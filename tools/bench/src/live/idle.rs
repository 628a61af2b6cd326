//! Many idle streams: the memory of each, and their effect on other requests.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{
    folder::random_hex,
    http, processor,
    resident::Resident,
    sessions::{self, Owned},
    stack::Stack,
    wait,
};
use tokio::{runtime, sync::oneshot, task::JoinSet};

use crate::followed::{Followed, StreamRequest};
use crate::{
    Setup,
    aim::Aim,
    bare_streams::BareStreams,
    connection::stream_request,
    figure::{ComparedFigure, shown},
    load::Load,
    rounds::{ROUND, ROUNDS},
    spread::{Spread, float},
};

/// Connections of the requests beside the streams.
pub(super) const CONNECTIONS: usize = 16;
/// Streams of one organization, the default maximum.
const OF_ONE: usize = 200;
/// Pause after the streams have opened or closed.
const REST: Duration = Duration::from_secs(2);
const OPENING: Duration = Duration::from_secs(120);
/// Time between two bookmarks of a stream.
const BOOKMARKS: Duration = Duration::from_secs(15);
/// Targets: kB of a stream, milliseconds of processor time per second, and requests beside the
/// streams by those without.
const MEMORY: Aim = Aim::AtMost(30.0);
const PROCESSOR: Aim = Aim::AtMost(20.0);
const BESIDE: Aim = Aim::AtLeast(0.95);

/// The figures of all rounds.
#[derive(Default)]
struct IdleRounds {
    memory: Vec<f64>,
    bare_memory: Vec<f64>,
    processor: Vec<f64>,
    alone: Vec<f64>,
    beside: Vec<f64>,
}

/// Open streams, until they are closed.
struct IdleStreams {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// Runs the measurement.
pub(super) fn measure(setup: &Setup) -> Result<(Vec<ComparedFigure>, Vec<String>)> {
    let settings = [
        ("BERTH_NODE_TOKENS", format!("gw-1={}", random_hex(20)?)),
        ("BERTH_LOG", "warn".to_owned()),
        ("BERTH_CREDENTIAL_STREAMS", OF_ONE.to_string()),
        // An organization never holds as many streams as are free.
        ("BERTH_ROUTER_STREAMS", (setup.size.streams + 3 * OF_ONE).to_string()),
    ];
    let logs = setup.scratch.path();
    let stack = Stack::start(&setup.programs, "bench-idle", logs, None, &settings)?;
    let pid = stack.berth_id().context("berth does not run")?;
    let (asked, get) = requests(&stack, setup.size.streams)?;
    let mut rounds = IdleRounds::default();
    get.run(REST)?; // pools fill
    for round in 1..=ROUNDS {
        println!("  idle, round {round} of {ROUNDS}");
        rounds.bare_memory.push(bare_memory(setup, asked.len())?);
        rounds.alone.push(get.run(ROUND)?.rate());
        let before = Resident::settled(pid)?;
        let streams = IdleStreams::open(asked.clone())?;
        let after = Resident::settled(pid)?;
        rounds.memory.push(each(before, after, asked.len()));
        let used = processor::time_of(pid)?;
        thread::sleep(BOOKMARKS);
        let used = processor::time_of(pid)?.saturating_sub(used);
        rounds.processor.push(used.as_secs_f64() * 1e3 / BOOKMARKS.as_secs_f64());
        rounds.beside.push(get.run(ROUND)?.rate());
        streams.close()?;
        thread::sleep(REST);
    }
    rounds.figures(setup.size.streams)
}

/// Returns the requests for the streams, and a load of another organization.
fn requests(stack: &Stack, streams: usize) -> Result<(Vec<StreamRequest>, Load)> {
    let address = http::address(stack.api.base())?;
    let mut asked = Vec::with_capacity(streams);
    for number in 0..streams.div_ceil(OF_ONE) {
        let key = stack.key(&format!("idle-{number}"), &["manage"])?;
        let request = stream_request(address, "/api/v1/events", Some(&key));
        let count = OF_ONE.min(streams - asked.len());
        asked.extend(vec![StreamRequest { address, request }; count]);
    }
    let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
    let session = sessions::path(&Owned::create(&api, "bench")?.id);
    let get = Load::of(&api, [session], CONNECTIONS)?;
    ensure!(get.status == 200, "status {}", get.status);
    Ok((asked, get))
}

/// Returns the memory of a stream of hyper alone in kB.
fn bare_memory(setup: &Setup, streams: usize) -> Result<f64> {
    let blocks = ["id: cur_0\n\n", "id: cur_1\n\n"].map(str::to_owned);
    let bare = BareStreams::start(setup, &blocks)?;
    let asked = burst(bare.address, streams);
    let before = Resident::settled(bare.id())?;
    let open = IdleStreams::open(asked)?;
    let after = Resident::settled(bare.id())?;
    open.close()?;
    Ok(each(before, after, streams))
}

fn burst(address: SocketAddr, streams: usize) -> Vec<StreamRequest> {
    let request = stream_request(address, "/burst", None);
    vec![StreamRequest { address, request }; streams]
}

fn each(before: Resident, after: Resident, streams: usize) -> f64 {
    (float(after.all) - float(before.all)) / float(streams as u64)
}

impl IdleRounds {
    fn figures(self, streams: usize) -> Result<(Vec<ComparedFigure>, Vec<String>)> {
        let many = shown(streams);
        let memory = format!("idle, kB of a stream: {many} streams");
        let memory = ComparedFigure::new(memory, 1, &self.memory, &self.bare_memory)?;
        let beside = format!("idle, GET/s: beside {many} streams, and without");
        let beside = ComparedFigure::new(beside, 0, &self.beside, &self.alone)?;
        let processor = Spread::of(self.processor).context("no rounds")?.median();
        let (size, kept) = (memory.berth.median(), beside.median_ratio());
        let findings = vec![
            MEMORY.judge(size, &format!("An idle stream: {size:.1} kB"), 0),
            PROCESSOR.judge(
                processor,
                &format!("{many} idle streams: {processor:.1} ms of processor time per second"),
                0,
            ),
            BESIDE.judge(kept, &format!("GET beside {many} idle streams: {kept:.2} of alone"), 2),
        ];
        Ok((vec![memory, beside], findings))
    }
}

impl IdleStreams {
    /// Opens all streams; an error when one does not open.
    fn open(asked: Vec<StreamRequest>) -> Result<Self> {
        let (count, opened) = (asked.len(), Arc::new(AtomicUsize::new(0)));
        let (stop, mut stopped) = oneshot::channel();
        let counted = Arc::clone(&opened);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut streams = JoinSet::new();
                for asked in &asked {
                    let followed = Followed::open(asked).await?;
                    streams.spawn(followed.hold());
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                tokio::select! {
                    _ = &mut stopped => Ok(()),
                    Some(ended) = streams.join_next() => ended?.context("an idle stream"),
                }
            })
        });
        let streams = Self { stop: Some(stop), thread: Some(thread) };
        let all = wait::until_true("all streams are open", OPENING, || {
            Ok(streams.has_ended() || opened.load(Ordering::Relaxed) == count)
        });
        match all {
            Ok(()) if !streams.has_ended() => Ok(streams),
            _ => streams.close().and(all).and(Err(anyhow!("the streams do not stay open"))),
        }
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Closes the streams; an error when one of them has ended.
    fn close(mut self) -> Result<()> {
        self.hang_up()
    }

    fn hang_up(&mut self) -> Result<()> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(()); // the receiver is gone after an error
        }
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow!("the thread of the streams panicked"))?
    }
}

impl Drop for IdleStreams {
    fn drop(&mut self) {
        let _ = self.hang_up(); // the owner reports another error
    }
}

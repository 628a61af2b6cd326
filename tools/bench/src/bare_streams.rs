//! The reference of event streams: hyper alone, which sends prepared blocks.
//!
//! `GET /burst` sends a first block at once and all others after a `POST /start`, as fast as the
//! client reads. `GET /timetable?FREQUENCY` sends a block this many times a second, whose label is its
//! planned time in nanoseconds since 1970.

use std::{
    convert::Infallible,
    fs,
    future::Future,
    net::SocketAddr,
    path::Path,
    pin::Pin,
    process::{Command, ExitCode},
    sync::Arc,
    task::{Context as Task, Poll, ready},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::{
    Method, Response,
    body::{Body, Frame},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use testbed::{client::Api, ports, process::Process, wait};
use tokio::{
    net::TcpListener,
    runtime,
    sync::watch,
    time::{self, Instant, timeout},
};

use crate::{Setup, options::BenchBareStreams};

/// Lifetime of a server whose parent has died.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
const READY: Duration = Duration::from_secs(10);
/// Time between the request and the first planned block.
const HEAD_START: Duration = Duration::from_millis(200);
/// The text in a block that is replaced by its planned time.
pub(crate) const LABEL: &str = "LABEL";

/// A running reference server.
#[derive(Debug)]
pub(crate) struct BareStreams {
    process: Process,
    /// Address of the listener.
    pub(crate) address: SocketAddr,
}

impl BareStreams {
    /// Starts a server with these blocks, of which the first is sent at once.
    pub(crate) fn start(setup: &Setup, blocks: &[String]) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], ports::free()?));
        let file = setup.scratch.path().join(format!("blocks-{}.json", address.port()));
        fs::write(&file, serde_json::to_string(blocks)?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare-streams", "--listen", &address.to_string(), "--blocks"]).arg(&file);
        let log = setup.scratch.path().join("bare-streams.log");
        let mut process = Process::spawn("the bare streams", &mut command, Some(&log))?;
        let api = Api::new(&format!("http://{address}"), None);
        wait::until_true("the bare streams answer", READY, || {
            process.must_run()?;
            Ok(api.get("/")?.status == 404)
        })?;
        Ok(Self { process, address })
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends the blocks to every open burst.
    pub(crate) fn burst(&self) -> Result<()> {
        let api = Api::new(&format!("http://{}", self.address), None);
        api.action("/start")?.expect(200).map(drop)
    }
}

/// Serves until the process is ended.
pub(crate) fn run(asked: &BenchBareStreams) -> Result<ExitCode> {
    let blocks = read(&asked.blocks)?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async { timeout(LIFETIME, serve(asked.listen, blocks)).await });
    served.unwrap_or(Ok(ExitCode::SUCCESS))
}

fn read(file: &Path) -> Result<Arc<[Bytes]>> {
    let blocks: Vec<String> = serde_json::from_slice(&fs::read(file)?)?;
    ensure!(blocks.len() > 1, "there are {} blocks", blocks.len());
    Ok(blocks.into_iter().map(Bytes::from).collect())
}

async fn serve(address: SocketAddr, blocks: Arc<[Bytes]>) -> Result<ExitCode> {
    let listener = TcpListener::bind(address).await?;
    let (start, started) = watch::channel(());
    let start = Arc::new(start);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (blocks, start, started) = (blocks.clone(), start.clone(), started.clone());
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let pace = match (request.method(), request.uri().path()) {
                (&Method::GET, "/burst") => Some(Pace::next_burst(&started)),
                (&Method::GET, "/timetable") => frequency(request.uri().query()),
                _ => None,
            };
            let mut response = Response::new(Either::Right(Empty::new()));
            if (request.method(), request.uri().path()) == (&Method::POST, "/start") {
                let _ = start.send(()); // fails without streams
            } else if let Some(pace) = pace {
                *response.body_mut() = Either::Left(Blocks::new(blocks.clone(), pace));
                let event_stream = hyper::header::HeaderValue::from_static("text/event-stream");
                response.headers_mut().insert(CONTENT_TYPE, event_stream);
            } else {
                *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            }
            async move { Ok::<_, Infallible>(response) }
        });
        // The clients report broken connections.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn frequency(query: Option<&str>) -> Option<Pace> {
    let frequency: f64 = query?.parse().ok()?;
    let interval = Duration::from_secs_f64(1.0 / frequency);
    let first = HEAD_START + interval.mul_f64(fraction());
    Some(Pace::Timetable { next: Instant::now() + first, due: now() + first, interval })
}

/// A part of an interval, different for each stream, so that the streams do not send at one time.
fn fraction() -> f64 {
    f64::from(now().subsec_nanos() % 1_000_000) / 1e6
}

/// Returns the time since 1970, for times that two processes compare.
pub(crate) fn now() -> Duration {
    UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// The time at which blocks are sent.
enum Pace {
    /// All blocks after the next start.
    Burst(watch::Receiver<()>),
    /// A block each interval. Both times are the one of the next block.
    Timetable { next: Instant, due: Duration, interval: Duration },
}

impl Pace {
    /// Waits for a start after now.
    fn next_burst(started: &watch::Receiver<()>) -> Self {
        let mut started = started.clone();
        started.mark_unchanged();
        Self::Burst(started)
    }
}

/// The body of a stream.
struct Blocks {
    all: Arc<[Bytes]>,
    sent: usize,
    pace: Pace,
    waiting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Blocks {
    fn new(blocks: Arc<[Bytes]>, pace: Pace) -> Self {
        Self { all: blocks, sent: 0, pace, waiting: None }
    }

    /// Returns what the next block waits for.
    fn wait(&self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        match &self.pace {
            _ if self.sent == 0 => None,
            Pace::Timetable { next, .. } => Some(Box::pin(time::sleep_until(*next))),
            Pace::Burst(started) if self.sent == 1 => {
                let mut started = started.clone();
                Some(Box::pin(async move { drop(started.changed().await) }))
            }
            Pace::Burst(_) if self.sent < self.all.len() => None,
            Pace::Burst(_) => Some(Box::pin(std::future::pending())),
        }
    }

    fn next(&mut self) -> Bytes {
        self.sent += 1;
        if self.sent == 1 {
            return self.all[0].clone();
        }
        match &mut self.pace {
            Pace::Burst(_) => self.all[self.sent - 1].clone(),
            Pace::Timetable { next, due, interval } => {
                let label = due.as_nanos();
                (*next, *due) = (*next + *interval, *due + *interval);
                let text = String::from_utf8_lossy(&self.all[1]);
                text.replace(LABEL, &label.to_string()).into()
            }
        }
    }
}

impl Body for Blocks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.waiting.is_none() {
            self.waiting = self.wait();
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(task));
            self.waiting = None;
        }
        Poll::Ready(Some(Ok(Frame::data(self.next()))))
    }
}

/// Returns a block with this event.
pub(crate) fn block(event: &str) -> Result<String> {
    let parsed: serde_json::Value = serde_json::from_str(event)?;
    let id = parsed["id"].as_str().context("an event has an id")?;
    Ok(format!("id: {id}\ndata: {event}\n\n"))
}

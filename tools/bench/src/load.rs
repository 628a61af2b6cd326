//! A load: connections that repeat requests and compare every answer byte for byte.
//!
//! Common load generators count answers and do not compare them, and they need an installation. An
//! HTTP library on this side would cost about as much as the server under test on the same cores,
//! and hide half of every difference. This load sends prepared bytes and compares the received
//! bytes.
//!
//! A connection sends the next request after the answer (a closed loop). The latencies are those of
//! a server that this number of connections keeps busy; `scheduled` measures latencies at a given
//! rate.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use testbed::{client::Api, http};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    task::JoinSet,
    time::timeout,
};

use crate::connection::{request, whole};

/// Time after its end within which a load must stop.
const GRACE: Duration = Duration::from_secs(10);
/// Maximum length of an answer in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// Bytes before the status of an answer.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// A load with the expected answers.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Address of the server.
    pub(crate) address: SocketAddr,
    /// The requests in turn; the connections start evenly spaced.
    pub(crate) asks: Vec<Ask>,
    /// Status of every answer.
    pub(crate) status: u16,
    /// Number of connections.
    pub(crate) connections: usize,
    /// Pause between an answer and the next request.
    pub(crate) pause: Duration,
}

/// A request with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// A complete request that leaves the connection open.
    pub(crate) request: Vec<u8>,
    /// The body of the answer.
    pub(crate) body: ExpectedBody,
}

/// The body that an answer must have.
#[derive(Clone, Debug)]
pub(crate) enum ExpectedBody {
    /// These bytes.
    Whole(Vec<u8>),
    /// A body that begins with these bytes, for an object that changes during the load.
    Start(Vec<u8>),
}

impl ExpectedBody {
    /// Returns whether a complete body is the expected one.
    pub(crate) fn matches(&self, body: &[u8]) -> bool {
        match self {
            Self::Whole(whole) => body == whole,
            Self::Start(start) => body.starts_with(start),
        }
    }

    /// Returns the same check for a server that answers with `body`.
    fn of(&self, body: &[u8]) -> Self {
        match self {
            Self::Whole(_) => Self::Whole(body.to_vec()),
            Self::Start(start) => Self::Start(body[..start.len().min(body.len())].to_vec()),
        }
    }
}

/// The result of a load.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Latencies in nanoseconds, sorted.
    latencies: Vec<u32>,
    duration: Duration,
}

impl Load {
    /// Creates a load of `GET`s of these paths without a pause. The first answers, which must have
    /// one status, define the expected ones.
    pub(crate) fn of(
        api: &Api,
        paths: impl IntoIterator<Item = String>,
        connections: usize,
    ) -> Result<Self> {
        let address = http::address(api.base())?;
        let (mut asks, mut status) = (Vec::new(), None);
        for path in paths {
            let reply = api.send_raw("GET", &path, &[], None)?;
            let first = *status.get_or_insert(reply.status);
            ensure!(first == reply.status, "{first}, then {}", reply.status);
            let request = request("GET", address, &path, api.credential());
            asks.push(Ask { request, body: ExpectedBody::Whole(reply.body) });
        }
        let status = status.context("no requests")?;
        Ok(Self { address, asks, status, connections, pause: Duration::ZERO })
    }

    /// Creates a load of requests that are answered with 200, over one connection without a pause.
    pub(crate) fn of_changing(address: SocketAddr, asks: Vec<Ask>) -> Self {
        Self { address, asks, status: 200, connections: 1, pause: Duration::ZERO }
    }

    /// Runs the load for this duration. A wrong answer is an error of the whole load.
    pub(crate) fn run(&self, duration: Duration) -> Result<Outcome> {
        let load = Arc::new(self.clone());
        // One thread, which leaves the cores to the server.
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let whole = timeout(duration + GRACE, ask(load, duration)).await;
            whole.context("no answers in time")?
        })
    }

    /// Returns the same requests for another server that answers all of them with this body.
    pub(crate) fn answered_by(&self, address: SocketAddr, body: &[u8]) -> Self {
        let asks = self.asks.iter().map(|ask| Ask { body: ask.body.of(body), ..ask.clone() });
        Self { address, asks: asks.collect(), ..self.clone() }
    }

    /// Returns whether the answer is complete; an error when the answer is wrong.
    fn is_whole(&self, ask: &Ask, answer: &[u8]) -> Result<bool> {
        let Some(status) = answer.get(..VERSION.len() + 3) else { return Ok(false) };
        if status != [VERSION, self.status.to_string().as_bytes()].concat() {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(600)]);
            bail!("status other than {}: {answer:?}", self.status);
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(false);
        };
        let body = &answer[end + 4..];
        let (right, complete) = match &ask.body {
            ExpectedBody::Whole(whole) => (whole.starts_with(body), body.len() == whole.len()),
            ExpectedBody::Start(_) => {
                let complete = whole(answer)? == Some(answer.len());
                (!complete || ask.body.matches(body), complete)
            }
        };
        ensure!(right, "another body: {:?}", String::from_utf8_lossy(body));
        Ok(complete)
    }
}

impl Outcome {
    /// Sorts the latencies of answers within this duration.
    pub(crate) fn of(latencies: Vec<Duration>, duration: Duration) -> Result<Self> {
        let nanos = |latency: Duration| u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX);
        let mut latencies: Vec<_> = latencies.into_iter().map(nanos).collect();
        ensure!(!latencies.is_empty(), "no answers");
        latencies.sort_unstable();
        Ok(Self { latencies, duration })
    }

    /// Joins the results of pieces; `None` without a piece.
    pub(crate) fn joined(pieces: Vec<Self>) -> Option<Self> {
        let duration = pieces.iter().map(|piece| piece.duration).sum();
        let mut latencies: Vec<_> = pieces.into_iter().flat_map(|piece| piece.latencies).collect();
        latencies.sort_unstable();
        (!latencies.is_empty()).then_some(Self { latencies, duration })
    }

    /// Returns answers per second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.count()) / self.duration.as_secs_f64()
    }

    /// Returns the number of answers.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    /// Returns the latency of this percentile.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.permille(percent * 10)
    }

    /// Returns the latency of this permille.
    pub(crate) fn permille(&self, permille: usize) -> Duration {
        let rank = (self.latencies.len() * permille).div_ceil(1000).max(1);
        let latency = self.latencies.get(rank - 1).copied().unwrap_or_default();
        Duration::from_nanos(latency.into())
    }
}

async fn ask(load: Arc<Load>, duration: Duration) -> Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        let stream = TcpStream::connect(load.address).await.context("no connection")?;
        stream.set_nodelay(true)?;
        connections.push(stream);
    }
    let (end, mut asking) = (Instant::now() + duration, JoinSet::new());
    for (which, stream) in connections.into_iter().enumerate() {
        asking.spawn(ask_again(stream, load.clone(), which, end));
    }
    let (mut latencies, mut failures) = (Vec::new(), Vec::new());
    while let Some(ended) = asking.join_next().await {
        match ended.context("a connection's task").and_then(|outcome| outcome) {
            Ok(more) => latencies.extend(more),
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(first) = failures.first() {
        bail!("{} of {} connections failed; one: {first:#}", failures.len(), load.connections);
    }
    Outcome::of(latencies, duration)
}

/// Repeats requests until the end; a later answer does not count.
async fn ask_again(
    mut stream: TcpStream,
    load: Arc<Load>,
    which: usize,
    end: Instant,
) -> Result<Vec<Duration>> {
    let (mut latencies, mut buffer) = (Vec::new(), vec![0; MAX_ANSWER]);
    // Evenly spaced, so that the connections do not ask for the same object at the same time.
    let mut asks = load.asks.iter().cycle().skip(which * load.asks.len() / load.connections);
    loop {
        let ask = asks.next().context("no requests")?;
        let began = Instant::now();
        if began >= end {
            return Ok(latencies);
        }
        stream.write_all(&ask.request).await?;
        let mut filled = 0;
        while !load.is_whole(ask, &buffer[..filled])? {
            ensure!(filled < buffer.len(), "the answer is too long");
            let read = stream.read(&mut buffer[filled..]).await?;
            ensure!(read > 0, "the server closed the connection");
            filled += read;
        }
        let answered = Instant::now();
        if answered <= end {
            latencies.push(answered.duration_since(began));
        }
        if !load.pause.is_zero() {
            tokio::time::sleep(load.pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    /// Runs a load against a server that gives these answers in turn, and then repeats the last
    /// one.
    fn asked(answers: &'static [&'static str], connections: usize) -> Result<Outcome> {
        asked_for(ExpectedBody::Whole(b"yes".to_vec()), answers, connections)
    }

    fn asked_for(
        body: ExpectedBody,
        answers: &'static [&'static str],
        connections: usize,
    ) -> Result<Outcome> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let (mut stream, mut buffer, mut turn) = (stream, [0; 1024], 0);
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        let answer: &str = answers[turn.min(answers.len() - 1)];
                        let _ = stream.write_all(answer.as_bytes());
                        turn += 1;
                    }
                });
            }
        });
        let asks = vec![Ask { request: b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), body }];
        let load = Load { address, asks, status: 200, connections, pause: Duration::ZERO };
        load.run(Duration::from_millis(300))
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";

    #[test]
    fn expected_answers_are_counted() {
        let outcome = asked(&[GOOD], 4).unwrap();
        assert!(outcome.count() > 0 && outcome.rate() > 0.0);
        assert!(outcome.percentile(50) <= outcome.percentile(99));
    }

    #[test]
    fn wrong_answer_fails_the_load() {
        let refused = asked(&[GOOD, "HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nyes", GOOD], 4);
        assert!(refused.unwrap_err().to_string().contains("4 of 4 connections failed"));
        let other = asked(&[GOOD, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnot", GOOD], 1);
        assert!(other.unwrap_err().to_string().contains("another body"));
    }

    #[test]
    fn changing_answers_need_the_expected_start() {
        const LONGER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nyeah";
        const OTHER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope";
        let start = || ExpectedBody::Start(b"ye".to_vec());
        assert!(asked_for(start(), &[GOOD, LONGER], 2).unwrap().count() > 1);
        let refused = asked_for(start(), &[GOOD, OTHER], 1).unwrap_err();
        assert!(refused.to_string().contains("another body"), "{refused}");
    }

    #[test]
    fn percentiles_are_measured_values() {
        let outcome = Outcome { latencies: (1..=200).collect(), duration: Duration::from_secs(1) };
        let nanos = |percent| outcome.percentile(percent).as_nanos();
        assert_eq!((nanos(50), nanos(99), nanos(100)), (100, 198, 200));
        assert_eq!(outcome.permille(996).as_nanos(), 200);
    }
}

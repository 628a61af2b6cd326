//! The load: connections that each ask one thing over and over, and know what the answer must be.
//!
//! Ours, and on bare sockets. The field's generators say how many answers came; whether each was the
//! right one, byte for byte, they do not look at, and they would have to be installed first. And an
//! HTTP library on this side would cost about what the server under test costs, on the same cores, and
//! so hide half of every difference. This one sends prepared bytes and compares what comes back.
//!
//! A connection asks again when it was answered (a closed loop): latencies are those of a server as
//! busy as so many connections keep it, not of a given rate of requests; for that there is `scheduled`.

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

use crate::connection::request;

/// How long after its time a load may end.
const GRACE: Duration = Duration::from_secs(10);
/// More than any answer a load may expect.
const LONGEST: usize = 64 * 1024;
/// What stands before the status of an answer.
const VERSION: &[u8] = b"HTTP/1.1 ";

/// What to ask whom, and what must come.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Who is asked.
    pub(crate) address: SocketAddr,
    /// What is asked, one after the other; each connection begins elsewhere.
    pub(crate) asks: Vec<Ask>,
    /// The status of every answer.
    pub(crate) status: u16,
    /// How many ask at the same time.
    pub(crate) connections: usize,
    /// How long each waits after an answer before it asks again.
    pub(crate) pause: Duration,
}

/// One thing to ask.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// A whole request, of a kind that leaves the connection open.
    pub(crate) request: Vec<u8>,
    /// The body of its answer.
    pub(crate) body: Vec<u8>,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// In nanoseconds, from the first byte sent to the last byte received; sorted.
    latencies: Vec<u32>,
    duration: Duration,
}

impl Load {
    /// `GET` of these paths by this caller without a pause; the first answers say what all must be, and
    /// have one status.
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
            asks.push(Ask { request, body: reply.body });
        }
        let status = status.context("nothing to ask")?;
        Ok(Self { address, asks, status, connections, pause: Duration::ZERO })
    }

    /// Asks for so long. One wrong answer, and all of it has failed.
    pub(crate) fn run(&self, duration: Duration) -> Result<Outcome> {
        let load = Arc::new(self.clone());
        // One thread: what it leaves of the cores is the server's.
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let whole = timeout(duration + GRACE, ask(load, duration)).await;
            whole.context("answers stayed out")?
        })
    }

    /// The same requests of somebody who gives all of them this answer.
    pub(crate) fn answered_by(&self, address: SocketAddr, body: &[u8]) -> Self {
        let asks = self.asks.iter().map(|ask| Ask { body: body.to_vec(), ..ask.clone() });
        Self { address, asks: asks.collect(), ..self.clone() }
    }

    /// Whether this is a whole answer, and the right one; half of one is `false`.
    fn is_whole(&self, ask: &Ask, answer: &[u8]) -> Result<bool> {
        let Some(status) = answer.get(..VERSION.len() + 3) else { return Ok(false) };
        if status != [VERSION, self.status.to_string().as_bytes()].concat() {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(600)]);
            bail!("not {}: {answer:?}", self.status);
        }
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(false);
        };
        let body = &answer[end + 4..];
        ensure!(
            body.len() <= ask.body.len() && ask.body.starts_with(body),
            "another body: {:?}",
            String::from_utf8_lossy(body)
        );
        Ok(body.len() == ask.body.len())
    }
}

impl Outcome {
    /// Of answers that took so long, in any order.
    pub(crate) fn of(latencies: Vec<Duration>, duration: Duration) -> Result<Self> {
        let nanos = |latency: Duration| u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX);
        let mut latencies: Vec<_> = latencies.into_iter().map(nanos).collect();
        ensure!(!latencies.is_empty(), "no answer at all");
        latencies.sort_unstable();
        Ok(Self { latencies, duration })
    }

    /// All of these as one; `None` of none.
    pub(crate) fn joined(pieces: Vec<Self>) -> Option<Self> {
        let duration = pieces.iter().map(|piece| piece.duration).sum();
        let mut latencies: Vec<_> = pieces.into_iter().flat_map(|piece| piece.latencies).collect();
        latencies.sort_unstable();
        (!latencies.is_empty()).then_some(Self { latencies, duration })
    }

    /// Answers in a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.count()) / self.duration.as_secs_f64()
    }

    /// Answers.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    /// So many of a hundred answers came at least this fast.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        self.permille(percent * 10)
    }

    /// So many of a thousand answers came at least this fast.
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

/// Until the time is up; an answer after it no longer counts.
async fn ask_again(
    mut stream: TcpStream,
    load: Arc<Load>,
    which: usize,
    end: Instant,
) -> Result<Vec<Duration>> {
    let (mut latencies, mut buffer) = (Vec::new(), vec![0; LONGEST]);
    let mut asks = load.asks.iter().cycle().skip(which % load.asks.len().max(1));
    loop {
        let ask = asks.next().context("nothing to ask")?;
        let began = Instant::now();
        if began >= end {
            return Ok(latencies);
        }
        stream.write_all(&ask.request).await?;
        let mut filled = 0;
        while !load.is_whole(ask, &buffer[..filled])? {
            ensure!(filled < buffer.len(), "an answer without an end");
            let read = stream.read(&mut buffer[filled..]).await?;
            ensure!(read > 0, "the server hung up");
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

    /// Asks a server that answers with each of these in turn, the last one for ever.
    fn asked(answers: &'static [&'static str], connections: usize) -> Result<Outcome> {
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
        let (request, body) = (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), b"yes".to_vec());
        let asks = vec![Ask { request, body }];
        let load = Load { address, asks, status: 200, connections, pause: Duration::ZERO };
        load.run(Duration::from_millis(300))
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nyes";

    #[test]
    fn right_answers_are_counted() {
        let outcome = asked(&[GOOD], 4).unwrap();
        assert!(outcome.count() > 0 && outcome.rate() > 0.0);
        assert!(outcome.percentile(50) <= outcome.percentile(99));
    }

    #[test]
    fn one_wrong_answer_fails_the_whole_load() {
        let refused = asked(&[GOOD, "HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nyes", GOOD], 4);
        assert!(refused.unwrap_err().to_string().contains("4 of 4 connections failed"));
        let other = asked(&[GOOD, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnot", GOOD], 1);
        assert!(other.unwrap_err().to_string().contains("another body"));
    }

    #[test]
    fn percentiles_are_answers_that_came() {
        let outcome = Outcome { latencies: (1..=200).collect(), duration: Duration::from_secs(1) };
        let nanos = |percent| outcome.percentile(percent).as_nanos();
        assert_eq!((nanos(50), nanos(99), nanos(100)), (100, 198, 200));
        assert_eq!(outcome.permille(996).as_nanos(), 200);
    }
}

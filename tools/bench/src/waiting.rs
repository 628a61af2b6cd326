//! Connections that wait: each requests a QR code that does not come, and repeats the request after
//! its time-out.
//!
//! berth has no node here, so that no session ever shows a code.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use testbed::{
    folder::random_hex,
    http, process,
    sessions::{self, Owned},
    stack::Stack,
    wait,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    sync::oneshot,
    task::JoinSet,
};

use crate::{
    Setup,
    connection::{self, request},
    load::Load,
};

/// Number of waiting connections.
pub(crate) const WAITING: usize = 1_000;
/// Number of sessions that they wait for. Each first wait writes its session, so more sessions
/// would measure the writes.
const SESSIONS: usize = 10;
/// Maximum wait that berth allows.
const AT_MOST: Duration = Duration::from_secs(30);
/// Minimum duration of an answer that was waited for.
const AT_LEAST: Duration = Duration::from_secs(29);
const OPENING: Duration = Duration::from_secs(60);
/// Maximum length of an answer in bytes.
const MAX_ANSWER: usize = 4 * 1024;

/// berth without a node, with its sessions.
#[derive(Debug)]
pub(crate) struct Nodeless {
    /// The programs.
    pub(crate) stack: Stack,
    /// A load for a session that no connection waits for.
    get: Load,
    qr: Vec<Vec<u8>>,
}

impl Nodeless {
    /// Starts the programs and creates the sessions.
    pub(crate) fn start(setup: &Setup, name: &str) -> Result<Self> {
        process::allow_connections()?;
        let settings = [
            ("BERTH_NODE_TOKENS", format!("gw-1={}", random_hex(20)?)),
            ("BERTH_PAIRING_RATE", "0".to_owned()),
        ];
        let stack = Stack::start(&setup.programs, name, setup.scratch.path(), None, &settings)?;
        let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
        let address = http::address(api.base())?;
        let mut qr = Vec::new();
        for _ in 0..SESSIONS {
            let what = format!("/qr?wait={}", AT_MOST.as_secs());
            let path = sessions::path_of(&Owned::create(&api, "waits")?.id, &what);
            qr.push(request("GET", address, &path, api.credential()));
        }
        let get = Load::of(&api, [sessions::path(&Owned::create(&api, "bench")?.id)], 1)?;
        ensure!(get.status == 200, "status {}", get.status);
        Ok(Self { stack, get, qr })
    }

    /// Returns the process id of the router.
    pub(crate) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }

    /// Returns a load for the session that no connection waits for.
    pub(crate) fn load(&self, connections: usize) -> Load {
        Load { connections, ..self.get.clone() }
    }

    /// Opens all waiting connections.
    pub(crate) fn wait(&self) -> Result<Waiting> {
        let asking = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel();
        let (get, counted) = (self.get.clone(), asking.clone());
        let qr: Vec<_> = self.qr.iter().cycle().take(WAITING).cloned().collect();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connections = JoinSet::new();
                for qr in qr {
                    connections.spawn(wait_again(get.clone(), qr, counted.clone()));
                }
                tokio::select! {
                    _ = stopped => Ok(()),
                    Some(ended) = connections.join_next() => ended?.context("a connection that waits"),
                }
            })
        });
        let waiting = Waiting { stop: Some(stop), thread: Some(thread) };
        let all = wait::until_true("all of them wait", OPENING, || {
            Ok(waiting.ended() || asking.load(Ordering::Relaxed) == WAITING)
        });
        match all {
            Ok(()) if !waiting.ended() => Ok(waiting),
            _ => waiting.close().and(all).and(Err(anyhow!("they do not wait"))),
        }
    }
}

/// The waiting connections, until they are closed.
#[derive(Debug)]
pub(crate) struct Waiting {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Waiting {
    fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Closes the connections; an error when one of them got a wrong answer.
    pub(crate) fn close(mut self) -> Result<()> {
        self.hang_up()
    }

    fn hang_up(&mut self) -> Result<()> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(()); // the receiver is gone after an error
        }
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow!("the thread of those that wait panicked"))?
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.hang_up(); // the owner reports another error
    }
}

/// Sends a first request that is answered, so that the connection is known to work.
async fn wait_again(get: Load, qr: Vec<u8>, asking: Arc<AtomicUsize>) -> Result<()> {
    let mut stream = TcpStream::connect(get.address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let first = answer(&mut stream, &get.asks[0].request).await?;
    ensure!(first.starts_with("HTTP/1.1 200 "), "unexpected answer {first:?}");
    asking.fetch_add(1, Ordering::Relaxed);
    loop {
        let began = Instant::now();
        let answer = answer(&mut stream, &qr).await?;
        let (took, waits) = (began.elapsed(), answer.starts_with("HTTP/1.1 404 "));
        ensure!(waits && took >= AT_LEAST, "answered after {took:?}: {answer:?}");
    }
}

/// Sends a request and reads the complete answer.
pub(crate) async fn answer(stream: &mut TcpStream, request: &[u8]) -> Result<String> {
    stream.write_all(request).await?;
    let (mut buffer, mut filled) = ([0; MAX_ANSWER], 0);
    while connection::whole(&buffer[..filled])?.is_none_or(|end| filled < end) {
        ensure!(filled < MAX_ANSWER, "the answer is too long");
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the server closed the connection");
        filled += read;
    }
    Ok(String::from_utf8_lossy(&buffer[..filled]).into_owned())
}

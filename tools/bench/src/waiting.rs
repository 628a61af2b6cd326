//! Connections that wait: each has asked for a QR code that does not come, and asks again when it was told
//! so.
//!
//! berth has no node here, so that nothing ever comes of a session that is wanted linked.

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

/// So many wait.
pub(crate) const WAITING: usize = 1_000;
/// In so many sessions. Few, for to begin waiting writes each of them: more would be a measurement of how
/// they begin.
const SESSIONS: usize = 10;
/// As long as berth lets anybody wait.
const AT_MOST: Duration = Duration::from_secs(30);
/// An answer that comes sooner was not waited for.
const AT_LEAST: Duration = Duration::from_secs(29);
const OPENING: Duration = Duration::from_secs(60);
/// More than any answer that is asked for here.
const LONGEST: usize = 4 * 1024;

/// berth without a node, and what can be asked of it.
#[derive(Debug)]
pub(crate) struct Nodeless {
    /// It, and what is around it.
    pub(crate) stack: Stack,
    /// Asks for a session that is never wanted linked.
    get: Load,
    qr: Vec<Vec<u8>>,
}

impl Nodeless {
    /// Starts it and makes its sessions.
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
        ensure!(get.status == 200, "it is answered {}", get.status);
        Ok(Self { stack, get, qr })
    }

    /// Its process.
    pub(crate) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }

    /// Asks for the session that nobody waits for.
    pub(crate) fn load(&self, connections: usize) -> Load {
        Load { connections, ..self.get.clone() }
    }

    /// Has all of them wait.
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

/// Those that wait, until they are told to hang up.
#[derive(Debug)]
pub(crate) struct Waiting {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Waiting {
    fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Hangs up; an error when one of them was answered what is no answer to one that waits.
    pub(crate) fn close(mut self) -> Result<()> {
        self.hang_up()
    }

    fn hang_up(&mut self) -> Result<()> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(()); // nobody hears it when they have failed
        }
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow!("the thread of those that wait panicked"))?
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.hang_up(); // whoever drops it has failed otherwise
    }
}

/// Asks something that is answered first, so that the connection is known to be served.
async fn wait_again(get: Load, qr: Vec<u8>, asking: Arc<AtomicUsize>) -> Result<()> {
    let mut stream = TcpStream::connect(get.address).await.context("no connection")?;
    stream.set_nodelay(true)?;
    let first = answer(&mut stream, &get.asks[0].request).await?;
    ensure!(first.starts_with("HTTP/1.1 200 "), "it is answered {first:?}");
    asking.fetch_add(1, Ordering::Relaxed);
    loop {
        let began = Instant::now();
        let answer = answer(&mut stream, &qr).await?;
        let (took, waits) = (began.elapsed(), answer.starts_with("HTTP/1.1 404 "));
        ensure!(waits && took >= AT_LEAST, "it is answered after {took:?}: {answer:?}");
    }
}

/// Sends a request, and reads its answer to the last byte.
pub(crate) async fn answer(stream: &mut TcpStream, request: &[u8]) -> Result<String> {
    stream.write_all(request).await?;
    let (mut buffer, mut filled) = ([0; LONGEST], 0);
    while connection::whole(&buffer[..filled])?.is_none_or(|end| filled < end) {
        ensure!(filled < LONGEST, "an answer without an end");
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the server hung up");
        filled += read;
    }
    Ok(String::from_utf8_lossy(&buffer[..filled]).into_owned())
}

//! An organization that sends as many requests as possible: every connection repeats its request at
//! once, whatever the answer.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
use tokio::{net::TcpStream, runtime, task::JoinSet, time};

use crate::waiting::answer;

/// Pause before a closed connection is opened again.
const REOPEN: Duration = Duration::from_millis(20);
/// Upper bound of the time to an answer, so that the connections end soon after the stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// The connections, until they are stopped.
#[derive(Debug)]
pub(crate) struct Flood {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<StatusCounts>>,
}

/// Count of each status code; an empty code stands for no answer.
pub(crate) type StatusCounts = BTreeMap<String, usize>;

impl Flood {
    /// Opens connections that each send these requests in turn.
    pub(crate) fn start(address: SocketAddr, connections: usize, requests: Vec<Vec<u8>>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        // One thread, which leaves the cores to the servers.
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let requests = Arc::new(requests);
                let mut asking = JoinSet::new();
                for which in 0..connections {
                    asking.spawn(ask(address, Arc::clone(&requests), which, Arc::clone(&told)));
                }
                let mut all = StatusCounts::new();
                while let Some(answers) = asking.join_next().await {
                    for (code, count) in answers? {
                        *all.entry(code).or_default() += count;
                    }
                }
                Ok(all)
            })
        });
        Self { over, thread }
    }

    /// Stops the connections and returns the counts.
    pub(crate) fn stop(self) -> Result<StatusCounts> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the flood panicked"))?
    }
}

async fn ask(
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    which: usize,
    over: Arc<AtomicBool>,
) -> StatusCounts {
    let mut answers = StatusCounts::new();
    let mut turn = which;
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            while !over.load(Ordering::Relaxed) {
                turn += 1;
                let asked = answer(&mut stream, &requests[turn % requests.len()]);
                let reply = time::timeout(PATIENCE, asked).await;
                let code = match &reply {
                    Ok(Ok(text)) => text.split(' ').nth(1).unwrap_or_default().to_owned(),
                    _ => String::new(),
                };
                let ended = code.is_empty();
                *answers.entry(code).or_default() += 1;
                if ended {
                    break;
                }
            }
        }
        time::sleep(REOPEN).await;
    }
    answers
}

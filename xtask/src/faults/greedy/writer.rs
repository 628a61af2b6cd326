//! An organization that writes as much as it is let: sessions, keys, recorded answers, metadata.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use crate::{client::Api, folder::random_hex, sessions::SESSIONS};

/// So many threads write.
const THREADS: usize = 8;
/// How soon one that was refused writes again.
const AGAIN: Duration = Duration::from_millis(50);
/// The most that a session's metadata may hold.
const METADATA: (usize, usize) = (20, 500);

/// The threads, until they are told to stop.
#[derive(Debug)]
pub(super) struct Writer {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Answers>>,
}

/// How often each status was answered; 0 is no answer.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<u16, usize>);

impl Writer {
    /// Begins to write as these clients.
    pub(super) fn start(clients: Vec<Api>) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let bodies = [session(), key()].map(|body| body.to_string());
        let threads = (0..THREADS).map(|which| {
            let (over, api) = (Arc::clone(&over), clients[which % clients.len()].clone());
            let bodies = bodies.clone();
            thread::spawn(move || write(&api, &bodies, &over))
        });
        Ok(Self { threads: threads.collect(), over })
    }

    /// Stops writing, and tells what was answered.
    pub(super) fn stop(self) -> Result<Answers> {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for one in self.threads {
            let Answers(counts) = one.join().map_err(|_| anyhow!("a writer panicked"))?;
            for (status, count) in counts {
                *all.0.entry(status).or_default() += count;
            }
        }
        Ok(all)
    }
}

fn write(api: &Api, [session, key]: &[String; 2], over: &AtomicBool) -> Answers {
    let mut answers = Answers::default();
    for turn in 0_usize.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let (path, body) =
            if turn % 10 == 9 { ("/api/v1/api-keys", key) } else { (SESSIONS, session) };
        let once = random_hex(16).unwrap_or_default();
        let headers = [("Idempotency-Key", once.as_str())];
        let reply = api.send("POST", path, &headers, Some(body.as_bytes()));
        let status = reply.map_or(0, |reply| reply.status);
        *answers.0.entry(status).or_default() += 1;
        if status != 201 {
            thread::sleep(AGAIN);
        }
    }
    answers
}

/// A session as large as one can be, which is to be placed at once.
fn session() -> Value {
    let (names, length) = METADATA;
    let metadata: BTreeMap<_, _> =
        (0..names).map(|name| (format!("name-{name}"), "x".repeat(length))).collect();
    json!({ "label": "greedy", "start": true, "metadata": metadata })
}

fn key() -> Value {
    json!({ "name": "greedy", "capabilities": ["manage"] })
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

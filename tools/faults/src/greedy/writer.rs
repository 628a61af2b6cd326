//! An organization that writes without pause: sessions, keys, idempotency records, metadata.

use std::{
    collections::{BTreeMap, BTreeSet},
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
use testbed::{client::Api, folder::random_hex, http::Reply, sessions::SESSIONS};

const API_KEYS: &str = "/api/v1/api-keys";

/// Number of writing threads.
const THREADS: usize = 8;
/// Pause after a refused write.
const AGAIN: Duration = Duration::from_millis(50);
/// Maximum number and length of the metadata values of a session.
const METADATA: (usize, usize) = (20, 500);

/// Names of the quotas in the API.
pub(super) const QUOTAS: [&str; 4] = ["api_keys", "idempotency_records", "metadata", "sessions"];

/// The threads, until they are stopped.
#[derive(Debug)]
pub(super) struct Writer {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Answers>>,
}

/// The answers to the writes.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Count of each status; 0 stands for no answer.
    statuses: BTreeMap<u16, usize>,
    /// The quotas that were reported as full.
    full: BTreeSet<String>,
}

/// A kind of write.
#[derive(Clone, Debug)]
struct Kind {
    path: &'static str,
    body: String,
    /// Whether the request has an idempotency key.
    recorded: bool,
}

impl Writer {
    /// Starts to write with these clients.
    pub(super) fn start(clients: &[Api]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let kinds = Kind::all();
        let threads = (0..THREADS).map(|which| {
            let (over, api) = (Arc::clone(&over), clients[which % clients.len()].clone());
            let kinds = kinds.clone();
            thread::spawn(move || write(&api, &kinds, which, &over))
        });
        Self { threads: threads.collect(), over }
    }

    /// Stops the threads and returns the answers.
    pub(super) fn stop(self) -> Result<Answers> {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for one in self.threads {
            let answers = one.join().map_err(|_| anyhow!("a writer panicked"))?;
            for (status, count) in answers.statuses {
                *all.statuses.entry(status).or_default() += count;
            }
            all.full.extend(answers.full);
        }
        Ok(all)
    }
}

impl Kind {
    fn all() -> [Self; 4] {
        let (names, length) = METADATA;
        let metadata: BTreeMap<_, _> =
            (0..names).map(|name| (format!("name-{name}"), "x".repeat(length))).collect();
        // `start` makes the router place the session.
        let large = json!({ "label": "greedy", "start": true, "metadata": metadata });
        let small = json!({ "label": "greedy", "start": true });
        let key = json!({ "name": "greedy", "capabilities": ["manage"] });
        let of = |path, body: &Value, recorded| Self { path, body: body.to_string(), recorded };
        [
            of(SESSIONS, &large, false),
            of(SESSIONS, &small, false),
            of(SESSIONS, &small, true),
            of(API_KEYS, &key, false),
        ]
    }

    fn send(&self, api: &Api) -> Result<Reply> {
        let once = random_hex(16)?;
        let headers = [("Idempotency-Key", once.as_str())];
        let headers = if self.recorded { &headers[..] } else { &[] };
        api.send("POST", self.path, headers, Some(self.body.as_bytes()))
    }
}

fn write(api: &Api, kinds: &[Kind], first: usize, over: &AtomicBool) -> Answers {
    let mut answers = Answers::default();
    for turn in first.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let reply = kinds[turn % kinds.len()].send(api).ok();
        let status = reply.as_ref().map_or(0, |reply| reply.status);
        *answers.statuses.entry(status).or_default() += 1;
        let full = reply.and_then(|reply| full_quota(&reply));
        if status != 201 && full.is_none() {
            thread::sleep(AGAIN);
        }
        answers.full.extend(full);
    }
    answers
}

/// Returns the quota that an error reports as full, with its limit and use.
fn full_quota(reply: &Reply) -> Option<String> {
    let details = &reply.json()["error"]["details"];
    let told = reply.status == 409 && details["limit"].is_u64() && details["used"].is_u64();
    details["quota"].as_str().filter(|_| told).map(str::to_owned)
}

impl Answers {
    /// Returns whether every quota was reported as full.
    pub(super) fn met_every_quota(&self) -> bool {
        QUOTAS.iter().all(|quota| self.full.contains(*quota))
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, full: {:?}", self.statuses, self.full)
    }
}

//! Threads that create, change and delete sessions at any router, until they are ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;
use testbed::{
    http::Reply,
    random::Random,
    sessions::{SESSIONS, path},
};

use super::{observation::Acknowledged, routers::Client};

/// Threads of one organization.
const THREADS: u64 = 4;
/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(5);

/// The running threads. Dropping the value ends them.
#[derive(Debug)]
pub(super) struct Writers {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Vec<Acknowledged>>>>,
}

impl Writers {
    pub(super) fn start(client: &Client, seed: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..THREADS).map(|which| {
            let (client, is_over) = (client.clone(), Arc::clone(&is_over));
            // Apart from the numbers of the other random choices.
            let mut random = Random::seeded(seed, 1_000 + which);
            thread::spawn(move || {
                let (mut sessions, mut acknowledged) = (Vec::new(), Vec::new());
                while !is_over.load(Ordering::Relaxed) {
                    change(&client, &mut random, &mut sessions, &mut acknowledged)?;
                    thread::sleep(PAUSE);
                }
                Ok(acknowledged)
            })
        });
        Self { threads: threads.collect(), is_over }
    }

    /// Ends the threads and returns the acknowledged changes.
    pub(super) fn end(mut self) -> Result<Vec<Acknowledged>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut acknowledged = Vec::new();
        for thread in self.threads.drain(..) {
            acknowledged.extend(thread.join().map_err(|_| anyhow!("a writer panicked"))??);
        }
        Ok(acknowledged)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Sends one change. A router that is gone or not ready refuses the change.
fn change(
    client: &Client,
    random: &mut Random,
    sessions: &mut Vec<String>,
    acknowledged: &mut Vec<Acknowledged>,
) -> Result<()> {
    let api = random.choose(&client.routers).clone();
    let label = json!({ "label": format!("storm {}", random.below(1_000_000)) });
    match (random.below(4), sessions.last()) {
        (0, Some(_)) => {
            let session = sessions.pop().context("a session")?;
            if is_done(api.delete(&path(&session)), 204)?.is_some() {
                acknowledged.push(Acknowledged { session, event: "session.deleted" });
            }
        }
        (1 | 2, Some(session)) => {
            let body = label.to_string();
            is_done(api.send("PATCH", &path(session), &[], Some(body.as_bytes())), 200)?;
        }
        _ => {
            if let Some(reply) = is_done(api.post(SESSIONS, &label), 201)? {
                let session = reply.json()["id"].as_str().context("no id")?.to_owned();
                sessions.push(session.clone());
                acknowledged.push(Acknowledged { session, event: "session.created" });
            }
        }
    }
    Ok(())
}

/// Returns the answer; `None` when the change is not acknowledged.
fn is_done(reply: Result<Reply>, status: u16) -> Result<Option<Reply>> {
    match reply {
        Ok(reply) if reply.status == status => Ok(Some(reply)),
        Ok(reply) if reply.status < 500 => bail!("status {}: {}", reply.status, reply.json()),
        Ok(_) | Err(_) => Ok(None),
    }
}

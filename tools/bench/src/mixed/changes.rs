//! Changes of sessions at a fixed rate: each connection creates a session, changes two others and
//! deletes the created one, repeatedly.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{client::Credential, parallel::run_on_threads, random::Random, sessions};

use super::owner::{NEW_SESSION, SessionOwner};
use crate::{
    connection::{Connection, TimedReply, request, request_with},
    load::Outcome,
    scheduled::{HEAD_START, MAX_DELAY, due, reduce_timer_slack},
};

/// Connections; enough that a change does not wait for the answer to an earlier one.
const CONNECTIONS: usize = 16;

/// Changes of the sessions of several organizations.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    address: SocketAddr,
    owners: Vec<SessionOwner>,
    statuses: ChangeStatuses,
}

/// The expected statuses.
#[derive(Clone, Copy, Debug)]
struct ChangeStatuses {
    create: u16,
    update: u16,
    delete: u16,
}

/// The connection of one thread, with the sessions that only this thread changes.
struct Writer<'a> {
    changes: &'a Changes,
    connection: Connection,
    random: Random,
    /// Sessions to update, with the credentials of their owners.
    own: Vec<(&'a Credential, &'a str)>,
    /// The session to delete.
    created: Option<(&'a Credential, String)>,
}

impl Changes {
    /// Returns changes for berth at this address.
    pub(super) fn new(address: SocketAddr, owners: &[SessionOwner]) -> Self {
        let statuses = ChangeStatuses { create: 201, update: 200, delete: 204 };
        Self { address, owners: owners.to_vec(), statuses }
    }

    /// Returns the same requests for a server that answers all of them with a session and 200.
    pub(crate) fn answered_by(&self, address: SocketAddr) -> Self {
        let statuses = ChangeStatuses { create: 200, update: 200, delete: 200 };
        Self { address, owners: self.owners.clone(), statuses }
    }

    /// Sends `rate` changes per second. A wrong answer is an error.
    pub(crate) fn run(&self, rate: f64, duration: Duration) -> Result<Outcome> {
        let start = Instant::now() + HEAD_START;
        let latencies = run_on_threads(CONNECTIONS, |which| {
            reduce_timer_slack()?;
            Writer::new(self, which)?.write(which, rate, start, duration)
        })?;
        Outcome::of(latencies, duration)
    }
}

impl<'a> Writer<'a> {
    fn new(changes: &'a Changes, which: usize) -> Result<Self> {
        let all = changes.owners.iter().flat_map(|owner| {
            owner.sessions.iter().map(move |session| (&owner.credential, session.as_str()))
        });
        let own: Vec<_> = all.skip(which).step_by(CONNECTIONS).collect();
        ensure!(!own.is_empty(), "fewer sessions than connections");
        let connection = Connection::open(changes.address)?;
        Ok(Self { changes, connection, random: Random::new()?, own, created: None })
    }

    /// Sends the changes of one connection; returns the times from the planned time of each.
    fn write(
        mut self,
        which: usize,
        rate: f64,
        start: Instant,
        duration: Duration,
    ) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        for (turn, number) in (which..).step_by(CONNECTIONS).enumerate() {
            let after = due(number, rate);
            if after >= duration {
                break;
            }
            thread::sleep((start + after).saturating_duration_since(Instant::now()));
            // The connections are at different steps at any time.
            match (turn + which) % 4 {
                0 => self.create(number)?,
                3 => self.delete_or_update()?,
                _ => self.update()?,
            }
            let late = start.elapsed().saturating_sub(after);
            ensure!(
                late < MAX_DELAY,
                "the server does not keep up with {rate:.0} changes per second"
            );
            latencies.push(late);
        }
        if self.created.is_some() {
            self.delete_or_update()?; // not measured
        }
        Ok(latencies)
    }

    fn create(&mut self, number: usize) -> Result<()> {
        let Changes { address, owners, statuses } = self.changes;
        let owner = &owners[number % owners.len()].credential;
        let body = Some(NEW_SESSION);
        let create = request_with("POST", *address, sessions::SESSIONS, Some(owner), body);
        let reply = self.connection.ask(&create)?;
        check("create", &reply, statuses.create)?;
        let session: Value = serde_json::from_slice(reply.body)?;
        let id = session["id"].as_str().context("a session has an id")?;
        self.created = Some((owner, id.to_owned()));
        Ok(())
    }

    /// Sets a new label, so that every update is a commit.
    fn update(&mut self) -> Result<()> {
        let (owner, session) = *self.random.choose(&self.own);
        let body = format!(r#"{{"label":"bench {:012}"}}"#, self.random.below(1_000_000_000_000));
        let (address, path) = (self.changes.address, sessions::path(session));
        let update = request_with("PATCH", address, &path, Some(owner), Some(&body));
        check("update", &self.connection.ask(&update)?, self.changes.statuses.update)
    }

    /// Deletes the created session; updates a session when none was created yet.
    fn delete_or_update(&mut self) -> Result<()> {
        let Some((owner, session)) = self.created.take() else { return self.update() };
        let delete =
            request("DELETE", self.changes.address, &sessions::path(&session), Some(owner));
        check("delete", &self.connection.ask(&delete)?, self.changes.statuses.delete)
    }
}

fn check(name: &str, reply: &TimedReply<'_>, status: u16) -> Result<()> {
    let text = String::from_utf8_lossy(reply.body);
    ensure!(reply.status == status, "{name}: {} instead of {status}: {text}", reply.status);
    Ok(())
}

//! A load of writes: connections that create a session and delete it, repeatedly.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::{Api, Credential},
    http,
    parallel::run_on_threads,
    sessions,
};

use crate::{
    connection::{Connection, request, request_with},
    load::Outcome,
};

/// Connections that each create a session and delete it, repeatedly.
#[derive(Debug)]
pub(crate) struct Writes {
    address: SocketAddr,
    credential: Credential,
    connections: usize,
}

impl Writes {
    pub(crate) fn by(api: &Api, connections: usize) -> Result<Self> {
        let credential = api.credential().context("writes need a key")?.clone();
        Ok(Self { address: http::address(api.base())?, credential, connections })
    }

    /// Writes for this duration. A wrong answer is an error of the whole load.
    pub(crate) fn run(&self, duration: Duration) -> Result<Outcome> {
        let end = Instant::now() + duration;
        // A thread for each connection: most of the time is waiting for the disk.
        let latencies = run_on_threads(self.connections, |_| self.write_until(end))?;
        Outcome::of(latencies, duration)
    }

    /// Returns the durations of answers in time. Every created session is deleted.
    fn write_until(&self, end: Instant) -> Result<Vec<Duration>> {
        let (mut connection, mut latencies) = (Connection::open(self.address)?, Vec::new());
        let body = Some(r#"{"label":"bench"}"#);
        let key = Some(&self.credential);
        let create = request_with("POST", self.address, sessions::SESSIONS, key, body);
        while Instant::now() < end {
            let reply = connection.ask(&create)?;
            let text = String::from_utf8_lossy(reply.body);
            ensure!(reply.status == 201, "create: {}: {text}", reply.status);
            let made: Value = serde_json::from_str(&text)?;
            let created = (Instant::now(), reply.took);
            let id = made["id"].as_str().context("a session has an id")?;
            let delete = request("DELETE", self.address, &sessions::path(id), key);
            let reply = connection.ask(&delete)?;
            ensure!(reply.status == 204, "delete: {}", reply.status);
            let deleted = (Instant::now(), reply.took);
            let in_time = [created, deleted].into_iter().filter(|(at, _)| *at <= end);
            latencies.extend(in_time.map(|(_, took)| took));
        }
        Ok(latencies)
    }
}

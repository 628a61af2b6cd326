//! The reference for PostgreSQL: one prepared statement that `pgbench` sends over several
//! connections.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use testbed::{postgres::Cluster, workspace};

use crate::Setup;

/// A script of `pgbench`.
#[derive(Debug)]
pub(crate) struct Statements {
    program: PathBuf,
    scripts: Vec<PathBuf>,
    variables: Vec<String>,
    database: String,
    connections: usize,
    /// Number of commits in a script.
    commits: f64,
}

/// Creates and deletes a session as berth does: with the events, in one statement each.
const SESSION: &str = r"\set n random(1, 1000000000000000)
WITH changed AS (
    INSERT INTO sessions (id, organization, label, auto_read, presence_typing, metadata,
        is_admin_session, desired, epoch, wanted, status, heard, created_at, updated_at, version,
        sequence, failures)
    VALUES ('sess_' || :n, 'alone', 'bench', false, false, '{}', false, 'stopped', 0, '{}', 'stopped',
        '{}', :n, 1, 1, 1, 0) RETURNING 1
), told AS (
    INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
    SELECT 'evt_' || :n, 'alone', 'sess_' || :n, 1, 'session.created', 1, 'operator', '[]' FROM changed
) SELECT count(*) FROM changed;
WITH changed AS (
    DELETE FROM sessions WHERE organization = 'alone' AND id = 'sess_' || :n AND version = 1 RETURNING 1
), told AS (
    INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
    SELECT new.* FROM changed, (VALUES
        ('evt_d' || :n, 'alone', 'sess_' || :n, 2, 'session.deleted', 1, 'operator', '[]'),
        ('evt_r' || :n, 'alone', 'sess_' || :n, 3, 'session.retired', 1, 'system', '[]')
    ) AS new (id, organization, session, sequence, name, at, actor_kind, payload)
    ORDER BY new.sequence
) SELECT count(*) FROM changed;
";

impl Statements {
    /// Prepares creations and deletions of sessions in berth's tables.
    pub(crate) fn written_sessions(
        setup: &Setup,
        cluster: &Cluster,
        database: &str,
        connections: usize,
    ) -> Result<Self> {
        let script = ("session.sql".to_owned(), SESSION.to_owned());
        let new = Self::new(setup, (cluster, database), &[script], Vec::new(), connections)?;
        Ok(Self { commits: 2.0, ..new })
    }

    /// Prepares lookups of random sessions, as berth does them.
    pub(crate) fn sessions(
        setup: &Setup,
        cluster: &Cluster,
        database: &str,
        (organization, sessions): (&str, &[String]),
        connections: usize,
    ) -> Result<Self> {
        // Variables become parameters of the prepared statement.
        let (mut scripts, mut variables) =
            (Vec::new(), vec![format!("organization={organization}")]);
        for (n, session) in sessions.iter().enumerate() {
            variables.push(format!("id{n}={session}"));
            let select = "SELECT * FROM sessions WHERE organization = :organization AND id";
            scripts.push((format!("session-{n}.sql"), format!("{select} = :id{n};\n")));
        }
        Self::new(setup, (cluster, database), &scripts, variables, connections)
    }

    /// Prepares inserts of `bytes` into a new table.
    pub(crate) fn one_row(
        setup: &Setup,
        cluster: &Cluster,
        database: &str,
        bytes: usize,
        connections: usize,
    ) -> Result<Self> {
        let table = "CREATE TABLE alone (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
                     body text NOT NULL)";
        cluster.query(database, table)?;
        let text = "INSERT INTO alone (body) VALUES (:body);\n";
        let variables = vec![format!("body={}", "x".repeat(bytes))];
        let script = ("one-row.sql".to_owned(), text.to_owned());
        Self::new(setup, (cluster, database), &[script], variables, connections)
    }

    fn new(
        setup: &Setup,
        (cluster, database): (&Cluster, &str),
        texts: &[(String, String)],
        variables: Vec<String>,
        connections: usize,
    ) -> Result<Self> {
        let mut scripts = Vec::new();
        for (name, text) in texts {
            let script = setup.scratch.path().join(name);
            fs::write(&script, text)?;
            scripts.push(script);
        }
        let (program, database) = (cluster.program("pgbench"), cluster.url(database));
        Ok(Self { program, scripts, variables, database, connections, commits: 1.0 })
    }

    /// Returns statements or commits per second.
    pub(crate) fn run(&self, duration: Duration) -> Result<f64> {
        let mut command = Command::new(&self.program);
        // One thread, as the load over HTTP has.
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=1"]);
        command.args(["--client", &self.connections.to_string()]);
        command.args(["--time", &duration.as_secs().to_string()]);
        command.args(self.variables.iter().map(|variable| format!("--define={variable}")));
        for script in &self.scripts {
            command.arg("--file").arg(script);
        }
        command.arg(&self.database).env("LC_ALL", "C");
        let told = workspace::answer(&mut command)?;
        let rate = rate(&told).map(|rate| rate * self.commits);
        rate.with_context(|| format!("pgbench tells no rate: {told}"))
    }
}

/// `tps = 12345.678901 (without initial connection time)`
fn rate(told: &str) -> Option<f64> {
    let line = told.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_is_read_from_the_output() {
        let told = "latency average = 1 ms\ntps = 12345.5 (without initial connection time)\n";
        assert_eq!(rate(told), Some(12345.5));
        assert_eq!(rate("pgbench: error"), None);
    }
}

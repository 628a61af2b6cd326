//! The reference for SQLite: the library alone, one prepared statement in one thread.
//!
//! SQLite runs in this process, because it has no server, and in one thread, because it allows one
//! writer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, OpenFlags, params};

const INSERT: &str = "INSERT INTO alone (body) VALUES (?1)";
/// Rows after which the journal has its full length and is overwritten. A growing journal takes
/// twice as long, and berth's journal has grown before the measurement.
const GROWTH: usize = 2_000;

/// A statement with its database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    statement: Statement,
}

#[derive(Debug)]
enum Statement {
    /// Inserts a row with this text in a transaction of its own.
    OneRow(String),
    /// Reads one session of this organization.
    OneSession(String, Vec<String>),
}

impl Sqlite {
    /// Prepares inserts of `bytes` into a new file with the same durability as berth.
    pub(crate) fn one_row(file: &Path, bytes: usize) -> Result<Self> {
        let connection = Connection::open(file).with_context(|| file.display().to_string())?;
        let journal: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        ensure!(journal == "wal", "the journal is {journal:?}");
        connection.execute_batch(
            "CREATE TABLE alone (id INTEGER PRIMARY KEY, body TEXT NOT NULL); PRAGMA synchronous = OFF",
        )?;
        let body = "x".repeat(bytes);
        for _ in 0..GROWTH {
            connection.execute(INSERT, params![body])?;
        }
        connection.execute_batch("PRAGMA synchronous = FULL")?;
        Ok(Self { connection, statement: Statement::OneRow(body) })
    }

    /// Prepares lookups of these sessions in berth's file, as berth does them.
    pub(crate) fn sessions(file: &Path, organization: &str, sessions: &[String]) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(file, flags).with_context(|| file.display().to_string())?;
        let statement = Statement::OneSession(organization.to_owned(), sessions.to_vec());
        Ok(Self { connection, statement })
    }

    /// Returns executions per second.
    pub(crate) fn run(&self, duration: Duration) -> Result<f64> {
        match &self.statement {
            Statement::OneRow(body) => {
                let mut insert = self.connection.prepare("INSERT INTO alone (body) VALUES (?1)")?;
                rate(duration, || Ok(insert.execute(params![body])?))
            }
            Statement::OneSession(organization, ids) => {
                let text = "SELECT * FROM sessions WHERE organization = ?1 AND id = ?2";
                let mut select = self.connection.prepare(text)?;
                let columns = select.column_count();
                let mut ids = ids.iter().cycle();
                rate(duration, || {
                    let id = ids.next().context("no session to look up")?;
                    let (mut rows, mut count) = (select.query(params![organization, id])?, 0);
                    while let Some(row) = rows.next()? {
                        // All columns are read, as berth reads them.
                        for column in 0..columns {
                            row.get_ref(column)?;
                        }
                        count += 1;
                    }
                    Ok(count)
                })
            }
        }
    }
}

/// Runs statements that each affect one row.
fn rate(duration: Duration, mut once: impl FnMut() -> Result<usize>) -> Result<f64> {
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < duration {
        let rows = once()?;
        ensure!(rows == 1, "{rows} rows instead of one");
        count += 1;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use testbed::folder::Folder;

    const BRIEFLY: Duration = Duration::from_millis(20);

    #[test]
    fn counted_rows_are_in_the_file() {
        let folder = Folder::new("sqlite-test").unwrap();
        let file = folder.path().join("alone.db");
        let alone = Sqlite::one_row(&file, 7).unwrap();
        assert!(alone.run(BRIEFLY).unwrap() > 0.0);
        let other = Connection::open(&file).unwrap();
        let text = "SELECT count(*) > 2000 AND sum(length(body)) = 7 * count(*) FROM alone";
        assert!(other.query_row(text, [], |row| row.get::<_, bool>(0)).unwrap());
        assert!(Sqlite::one_row(&file, 7).is_err());
    }

    #[test]
    fn missing_session_is_an_error() {
        let folder = Folder::new("sqlite-test").unwrap();
        let file = folder.path().join("berth.db");
        let made = Connection::open(&file).unwrap();
        let rows =
            "CREATE TABLE sessions (organization, id); INSERT INTO sessions VALUES ('a', 'one')";
        made.execute_batch(rows).unwrap();
        let asked =
            |organization| Sqlite::sessions(&file, organization, &["one".to_owned()]).unwrap();
        assert!(asked("a").run(BRIEFLY).unwrap() > 0.0);
        assert!(asked("b").run(BRIEFLY).unwrap_err().to_string().contains("0 rows"));
    }
}

//! SQLite alone: one thread with a prepared statement for each kind of row.

use std::{collections::BTreeMap, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection, OpenFlags, Statement, params_from_iter, types::Value};

use crate::messages::{
    prepared::{LANES, PreparedRound, SESSIONS_OF_LANE, id_prefix, prefix_length},
    stand_in::StandIn,
};

/// Rows in the order of a statement's parameters.
type Rows = Vec<Vec<Value>>;

const COUNT: &str = "SELECT count(*) FROM messages";
const INSERT_MESSAGE: &str = "INSERT INTO messages";
const INSERT_EVENT: &str = "INSERT INTO events";
const INSERT_CHAT: &str = "INSERT INTO chats";
const REPLACE_CHAT: &str = "ON CONFLICT (organization, session, id) DO UPDATE SET \
     contact_name = excluded.contact_name, push_name = excluded.push_name, \
     unread = excluded.unread, last_at = excluded.last_at, last_message = excluded.last_message, \
     has_inbound = excluded.has_inbound";
/// The columns of [`SELECT_COUNTERS`] are its parameters.
const UPDATE_COUNTERS: &str = "UPDATE session_messaging SET version = ?3, sequence = ?4, \
     last_chat = ?5, last_message = ?6, account = ?7, journal = ?8, journal_sequence = ?9 \
     WHERE organization = ?1 AND session = ?2";
const SELECT_COUNTERS: &str = "SELECT organization, session, version, sequence, last_chat, \
     last_message, account, journal, journal_sequence FROM session_messaging WHERE session = ?1";
const SELECT_EVENTS: &str = "SELECT id, organization, session, stream, sequence, name, at, \
     actor_kind, actor_name, payload FROM events WHERE session = ?1 AND stream = 'messages' \
     AND sequence > ?2 ORDER BY sequence";
const EVENT_COLUMNS: usize = 10;

/// berth's file and its copy.
pub(in crate::messages) struct CopiedFile {
    of_berth: Connection,
    copy: Connection,
    /// Number of each session's newest event that is in the copy.
    copied: BTreeMap<String, i64>,
}

/// The rows of a transaction.
#[derive(Debug, Default)]
struct FileRows {
    messages: Rows,
    events: Rows,
    chats: Rows,
    counters: Rows,
}

impl CopiedFile {
    pub(super) fn copy(file: &Path, copy: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(copy); // of an earlier run
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let of_berth = Connection::open_with_flags(file, flags)?;
        let name = copy.to_str().context("the path is not text")?;
        of_berth.execute("VACUUM INTO ?1", [name])?;
        let copy = Connection::open(copy)?;
        let journal: String = copy.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        ensure!(journal == "wal", "the journal is {journal:?}");
        copy.execute_batch("PRAGMA synchronous = FULL")?;
        let mut file = Self { of_berth, copy, copied: BTreeMap::new() };
        file.copied = file.newest()?;
        Ok(file)
    }

    pub(super) fn counts(&self) -> Result<(usize, usize)> {
        let count = |connection: &Connection| -> Result<usize> {
            let count: i64 = connection.query_row(COUNT, [], |row| row.get(0))?;
            Ok(usize::try_from(count)?)
        };
        Ok((count(&self.of_berth)?, count(&self.copy)?))
    }

    pub(super) fn repeat(&mut self, node: &StandIn, round: &PreparedRound) -> Result<f64> {
        let batches = self.read(node, round)?;
        self.copied = self.newest()?;
        let first = batches.first().context("no batches")?;
        let mut message = insert(&self.copy, INSERT_MESSAGE, &first.messages, "")?;
        let mut event = self.copy.prepare(&format!(
            "{INSERT_EVENT} (id, organization, session, stream, sequence, name, at, actor_kind, \
             actor_name, payload) VALUES ({})",
            parameters(EVENT_COLUMNS)
        ))?;
        let mut chat = insert(&self.copy, INSERT_CHAT, &first.chats, REPLACE_CHAT)?;
        let mut counters = self.copy.prepare(UPDATE_COUNTERS)?;
        let began = Instant::now();
        for batch in &batches {
            self.copy.execute_batch("BEGIN IMMEDIATE")?;
            for (statement, rows) in [
                (&mut counters, &batch.counters),
                (&mut chat, &batch.chats),
                (&mut message, &batch.messages),
                (&mut event, &batch.events),
            ] {
                for row in rows {
                    statement.execute(params_from_iter(row))?;
                }
            }
            self.copy.execute_batch("COMMIT")?;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// Returns the number of the newest event of each session's messages.
    fn newest(&self) -> Result<BTreeMap<String, i64>> {
        let text = "SELECT session, sequence FROM session_messaging";
        let mut select = self.of_berth.prepare(text)?;
        let newest = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(newest.collect::<Result<_, _>>()?)
    }

    /// Reads the rows of a round, batch by batch. A session's events are spread evenly.
    fn read(&self, node: &StandIn, round: &PreparedRound) -> Result<Vec<FileRows>> {
        let mut messages = self.messages(round)?;
        let mut batches = Vec::new();
        let of_lane = round.lanes[0].len();
        for turn in 0..of_lane {
            for lane in 0..LANES {
                let number = round.lanes[lane][turn].number;
                let messages = messages.remove(&id_prefix(number)).context("no messages")?;
                batches.push(FileRows { messages, ..FileRows::default() });
            }
        }
        for (lane, sessions) in node.sessions.chunks(SESSIONS_OF_LANE).enumerate() {
            for session in sessions {
                let chats = self.rows("SELECT * FROM chats WHERE session = ?1", session)?;
                let counters = self.rows(SELECT_COUNTERS, session)?;
                let events = self.events(session)?;
                let each = events.len().div_ceil(of_lane).max(1);
                let mut parts = events.chunks(each);
                for turn in 0..of_lane {
                    let batch = &mut batches[turn * LANES + lane];
                    batch.chats.extend_from_slice(&chats);
                    batch.counters.extend_from_slice(&counters);
                    batch.events.extend_from_slice(parts.next().unwrap_or_default());
                }
            }
        }
        Ok(batches)
    }

    /// Returns the messages of a round by the beginnings of their ids.
    fn messages(&self, round: &PreparedRound) -> Result<BTreeMap<String, Rows>> {
        let text = "SELECT wa_id, * FROM messages WHERE wa_id >= ?1 AND wa_id < ?2 \
                    ORDER BY session, id";
        let mut select = self.of_berth.prepare(text)?;
        let columns = select.column_count();
        let mut rows = select.query([id_prefix(round.first), id_prefix(round.end)])?;
        let mut messages: BTreeMap<String, Rows> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let wa_id: String = row.get(0)?;
            let prefix = wa_id.get(..prefix_length()).context("a short id")?.to_owned();
            let values = (1..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            messages.entry(prefix).or_default().push(values);
        }
        Ok(messages)
    }

    fn events(&self, session: &str) -> Result<Rows> {
        let copied = self.copied.get(session).copied().unwrap_or_default();
        let mut select = self.of_berth.prepare_cached(SELECT_EVENTS)?;
        let rows = select.query_map((session, copied), |row| {
            (0..EVENT_COLUMNS).map(|column| row.get(column)).collect()
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn rows(&self, text: &str, session: &str) -> Result<Rows> {
        let mut select = self.of_berth.prepare_cached(text)?;
        let columns = select.column_count();
        let rows = select
            .query_map([session], |row| (0..columns).map(|column| row.get(column)).collect())?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Prepares a statement that inserts such rows with all columns.
fn insert<'a>(
    connection: &'a Connection,
    start: &str,
    rows: &Rows,
    end: &str,
) -> Result<Statement<'a>> {
    let columns = rows.first().context("no rows")?.len();
    Ok(connection.prepare(&format!("{start} VALUES ({}) {end}", parameters(columns)))?)
}

fn parameters(count: usize) -> String {
    (1..=count).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
}

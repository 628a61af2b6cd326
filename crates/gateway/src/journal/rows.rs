//! The rows of the journal file.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Source, delivery_queue::Claim, item::Row, usage::Amount};
use crate::{
    fair_permits::Group,
    sqlite::{Layout, Result, sqlite_error},
};

/// Sequence numbers are never reused, also not after all items were removed.
pub(crate) const LAYOUT: Layout = Layout {
    name: "journal",
    version: 1,
    schema: "
        CREATE TABLE journal (name TEXT NOT NULL) STRICT;
        CREATE TABLE items (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            session TEXT NOT NULL,
            tag TEXT,
            at INTEGER NOT NULL,
            size INTEGER NOT NULL,
            key BLOB,
            item TEXT NOT NULL
        ) STRICT;
        CREATE INDEX items_session ON items (session, seq);
        CREATE UNIQUE INDEX items_key ON items (session, key) WHERE key IS NOT NULL;
    ",
};

/// The contents of a file at its opening.
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) amounts: Vec<(Group, Amount)>,
    /// The newest sequence number of each session.
    pub(super) newest: Vec<(String, u64)>,
}

/// What an append inserted.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    pub(super) newest: Option<u64>,
    pub(super) amount: Amount,
}

/// A stored item.
#[derive(Clone, Debug)]
pub(crate) struct StoredItem {
    pub(crate) seq: u64,
    /// Unix milliseconds.
    pub(crate) at: i64,
    /// A JSON object.
    pub(crate) json: String,
}

/// Reads the state of the file. A new file gets `fresh_name`.
pub(super) fn load(connection: &Connection, fresh_name: &str) -> Result<Loaded> {
    let name = connection
        .query_row("SELECT name FROM journal", [], |row| row.get(0))
        .optional()
        .map_err(sqlite_error)?;
    if name.is_none() {
        connection
            .execute("INSERT INTO journal (name) VALUES (?1)", [fresh_name])
            .map_err(sqlite_error)?;
    }
    let amounts =
        query(connection, "SELECT tag, count(*), sum(size) FROM items GROUP BY tag", |row| {
            grouped_amount(row)
        })?;
    let newest =
        query(connection, "SELECT session, max(seq) FROM items GROUP BY session", |row| {
            Ok((row.get(0)?, unsigned(row, 1)?))
        })?;
    Ok(Loaded { name: name.unwrap_or_else(|| fresh_name.to_owned()), amounts, newest })
}

/// Inserts items in their order; leaves out those whose key the session has.
pub(super) fn insert(connection: &Connection, source: &Source, rows: &[Row]) -> Result<Inserted> {
    let sql = "INSERT INTO items (session, tag, at, size, key, item) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING RETURNING seq";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite_error)?;
    let (session, tag) = (source.session.as_str(), source.group.as_deref());
    let mut inserted = Inserted::default();
    for row in rows {
        let size = row.size();
        let seq: Option<u64> = statement
            .query_row(params![session, tag, row.at, signed(size), row.key, row.json], |row| {
                unsigned(row, 0)
            })
            .optional()
            .map_err(sqlite_error)?;
        if seq.is_some() {
            inserted.newest = seq;
            inserted.amount.items += 1;
            inserted.amount.bytes += size;
        }
    }
    Ok(inserted)
}

/// Reads the next items of a session, at most `limit`, and takes their size from `bytes`. Returns
/// `None` without a read if no bytes are left. The first item is read whatever its size.
pub(super) fn read(
    connection: &Connection,
    claim: &Claim,
    limit: usize,
    bytes: &mut usize,
) -> Result<Option<Vec<StoredItem>>> {
    if *bytes == 0 {
        return Ok(None);
    }
    let sql =
        "SELECT seq, at, item FROM items WHERE session = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite_error)?;
    let mut rows = statement
        .query(params![claim.session.as_str(), signed(claim.after), signed(limit as u64)])
        .map_err(sqlite_error)?;
    let mut items = Vec::new();
    while *bytes > 0
        && let Some(row) = rows.next().map_err(sqlite_error)?
    {
        let item = StoredItem {
            seq: unsigned(row, 0).map_err(sqlite_error)?,
            at: row.get(1).map_err(sqlite_error)?,
            json: row.get(2).map_err(sqlite_error)?,
        };
        *bytes = bytes.saturating_sub(item.json.len());
        items.push(item);
    }
    Ok(Some(items))
}

/// Removes the items of a session, up to a sequence number if one is given, and returns what they
/// took.
pub(super) fn delete(
    connection: &Connection,
    session: &str,
    through: Option<u64>,
) -> Result<Vec<(Group, Amount)>> {
    let through = through.map_or(i64::MAX, signed);
    let select = "SELECT tag, count(*), sum(size) FROM items WHERE session = ?1 AND seq <= ?2 \
                  GROUP BY tag";
    let mut statement = connection.prepare_cached(select).map_err(sqlite_error)?;
    let removed = statement
        .query_map(params![session, through], grouped_amount)
        .map_err(sqlite_error)?
        .collect::<rusqlite::Result<Vec<_>>>()
        .map_err(sqlite_error)?;
    let delete = "DELETE FROM items WHERE session = ?1 AND seq <= ?2";
    let mut statement = connection.prepare_cached(delete).map_err(sqlite_error)?;
    statement.execute(params![session, through]).map_err(sqlite_error)?;
    Ok(removed)
}

/// Returns the time of the oldest item.
pub(super) fn oldest(connection: &Connection) -> Result<Option<i64>> {
    connection
        .query_row("SELECT at FROM items ORDER BY seq LIMIT 1", [], |row| row.get(0))
        .optional()
        .map_err(sqlite_error)
}

/// Reads a tag, a number of items and a number of bytes.
fn grouped_amount(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Group, Amount)> {
    let tag: Option<String> = row.get(0)?;
    Ok((tag.map(Into::into), Amount { items: unsigned(row, 1)?, bytes: unsigned(row, 2)? }))
}

/// Reads a number that is never negative.
fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Writes a number that never exceeds 63 bits.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn query<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare(sql).map_err(sqlite_error)?;
    let rows = statement.query_map([], read).map_err(sqlite_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
}

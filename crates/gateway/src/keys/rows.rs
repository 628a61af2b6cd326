//! The rows of one session: a kind, a key and a value. Some kinds have a second key for lookups, or
//! a rank for ordering and expiry.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};

use crate::sqlite::{Result, sqlite_error};

/// The kind of a row. The numbers are stored; a new kind takes a new number.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    Device = 1,
    Identity = 2,
    Session = 3,
    PreKey = 4,
    SignedPreKey = 5,
    SenderKey = 6,
    SyncKey = 7,
    Version = 8,
    MutationMac = 9,
    SenderKeyDevice = 10,
    LidMapping = 11,
    BaseKey = 12,
    DeviceList = 13,
    Group = 14,
    TcToken = 15,
    SentMessage = 16,
    PendingInbound = 17,
    MessageSecret = 18,
}

/// The optional columns of a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IndexColumns<'a> {
    /// A second key for lookups (column `also`).
    pub(super) second_key: Option<&'a [u8]>,
    /// Unix seconds, or a running number.
    pub(super) rank: Option<i64>,
}

/// The rows of one session, on a reader connection or in a transaction of the writer.
pub(super) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) session: i64,
}

impl Rows<'_> {
    pub(super) fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get_ranked(kind, key)?.map(|(value, _)| value))
    }

    /// Returns a value with its rank.
    pub(super) fn get_ranked(
        &self,
        kind: Kind,
        key: &[u8],
    ) -> Result<Option<(Vec<u8>, Option<i64>)>> {
        let sql = "SELECT value, rank FROM entries WHERE session = ?1 AND kind = ?2 AND key = ?3";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite_error)?;
        let row = statement
            .query_row(params![self.session, kind as u8, key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional();
        row.map_err(sqlite_error)
    }

    /// Inserts a row, or replaces the row with the same key.
    pub(super) fn put(
        &self,
        kind: Kind,
        key: &[u8],
        value: &[u8],
        index: IndexColumns<'_>,
    ) -> Result<()> {
        let sql = "INSERT INTO entries (session, kind, key, value, also, rank) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (session, kind, key) DO UPDATE \
                   SET value = excluded.value, also = excluded.also, rank = excluded.rank";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite_error)?;
        statement
            .execute(params![self.session, kind as u8, key, value, index.second_key, index.rank])
            .map_err(sqlite_error)?;
        Ok(())
    }

    pub(super) fn remove(&self, kind: Kind, key: &[u8]) -> Result<()> {
        self.delete(kind, "key = ?3", key)?;
        Ok(())
    }

    /// Removes the rows with this second key.
    pub(super) fn remove_by_second_key(&self, kind: Kind, second_key: &[u8]) -> Result<()> {
        self.delete(kind, "also = ?3", second_key)?;
        Ok(())
    }

    /// Removes the rows with a lower rank and returns their number.
    pub(super) fn remove_ranked_below(&self, kind: Kind, rank: i64) -> Result<u32> {
        self.delete(kind, "rank < ?3", rank)
    }

    /// Removes the rows whose keys start with `start`; an empty `start` removes all rows of the
    /// kind.
    pub(super) fn remove_by_prefix(&self, kind: Kind, start: &[u8]) -> Result<()> {
        for (key, _) in self.list(kind, start)? {
            self.remove(kind, &key)?;
        }
        Ok(())
    }

    /// Returns the rows whose keys start with `start`, in the order of their keys.
    pub(super) fn list(&self, kind: Kind, start: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let sql = "SELECT key, value FROM entries WHERE session = ?1 AND kind = ?2 \
                   AND key >= ?3 ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite_error)?;
        let rows = statement
            .query_map(params![self.session, kind as u8, start], pair)
            .map_err(sqlite_error)?
            .take_while(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(start)));
        rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
    }

    /// Returns whether a key starts with `start`.
    pub(super) fn has_prefix(&self, kind: Kind, start: &[u8]) -> Result<bool> {
        let sql = "SELECT key, x'' FROM entries WHERE session = ?1 AND kind = ?2 AND key >= ?3 \
                   ORDER BY key LIMIT 1";
        let first = self.first(sql, params![self.session, kind as u8, start])?;
        Ok(first.is_some_and(|(key, _)| key.starts_with(start)))
    }

    /// Returns the row with the greatest key.
    pub(super) fn last(&self, kind: Kind) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let sql = "SELECT key, value FROM entries WHERE session = ?1 AND kind = ?2 \
                   ORDER BY key DESC LIMIT 1";
        self.first(sql, params![self.session, kind as u8])
    }

    /// Returns the row with the highest rank of those with this second key.
    pub(super) fn newest(
        &self,
        kind: Kind,
        second_key: &[u8],
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let sql = "SELECT key, value FROM entries WHERE session = ?1 AND kind = ?2 AND also = ?3 \
                   ORDER BY rank DESC LIMIT 1";
        self.first(sql, params![self.session, kind as u8, second_key])
    }

    /// Returns the key of the row with the highest rank, and the rank.
    pub(super) fn highest(&self, kind: Kind) -> Result<Option<(Vec<u8>, i64)>> {
        let sql = "SELECT key, rank FROM entries WHERE session = ?1 AND kind = ?2 \
                   AND rank IS NOT NULL ORDER BY rank DESC LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite_error)?;
        statement
            .query_row(params![self.session, kind as u8], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(sqlite_error)
    }

    fn first(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(sqlite_error)?;
        statement.query_row(parameters, pair).optional().map_err(sqlite_error)
    }

    fn delete(&self, kind: Kind, which: &str, value: impl ToSql) -> Result<u32> {
        let sql = format!("DELETE FROM entries WHERE session = ?1 AND kind = ?2 AND {which}");
        let mut statement = self.connection.prepare_cached(&sql).map_err(sqlite_error)?;
        let gone =
            statement.execute(params![self.session, kind as u8, value]).map_err(sqlite_error)?;
        Ok(u32::try_from(gone).unwrap_or(u32::MAX))
    }
}

/// Joins parts to a key. All parts but the last have a length prefix, so that different parts never
/// make the same key, and keys with the same first parts are adjacent.
pub(super) fn joined_key<const N: usize>(parts: [&[u8]; N]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for (at, part) in parts.iter().enumerate() {
        if at + 1 < N {
            key.extend(key_prefix(part));
        } else {
            key.extend(*part);
        }
    }
    key
}

/// Returns the prefix of all keys with this first part.
pub(super) fn key_prefix(part: &[u8]) -> Vec<u8> {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), part].concat()
}

fn pair(row: &Row<'_>) -> rusqlite::Result<(Vec<u8>, Vec<u8>)> {
    Ok((row.get(0)?, row.get(1)?))
}

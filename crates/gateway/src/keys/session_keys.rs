//! The keys of one session as the engine's store.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use serde::{Serialize, de::DeserializeOwned};
use wacore::store::{Device, error::StoreError};

use super::{
    NewMappings,
    rows::{IndexColumns, Kind, Rows},
};
use crate::{
    session_name::SessionName,
    sqlite::{Database, Result, sqlite_error},
};

/// The keys of one session. Holds no connection, no thread and no cached data.
#[derive(Clone)]
pub(super) struct SessionKeys {
    database: Arc<Database>,
    /// Is told of new mappings between LIDs and phone numbers.
    pub(super) observer: Option<Arc<dyn NewMappings>>,
    /// The number of the session in the file; it changes with a wipe.
    pub(super) number: i64,
}

impl SessionKeys {
    /// Returns the keys of the session, and creates an entry if there is none.
    pub(super) async fn open(database: Arc<Database>, session: &SessionName) -> Result<Self> {
        if let Some(keys) = Self::find(database.clone(), session).await? {
            return Ok(keys);
        }
        let name = session.as_str().to_owned();
        let number = database.write(move |connection| insert(connection, &name)).await?;
        Ok(Self { database, observer: None, number })
    }

    /// Returns the keys of the session; `None` without an entry.
    pub(super) async fn find(
        database: Arc<Database>,
        session: &SessionName,
    ) -> Result<Option<Self>> {
        let name = session.as_str().to_owned();
        let number = database.read(move |connection| number(connection, &name)).await?;
        Ok(number.map(|number| Self { database, observer: None, number }))
    }

    pub(super) fn with_observer(self, observer: Option<Arc<dyn NewMappings>>) -> Self {
        Self { observer, ..self }
    }

    /// Runs a read; `work` sees one state of the file for each query.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let session = self.number;
        self.database.read(move |connection| work(&Rows { connection, session })).await
    }

    /// Runs a write in a transaction, which is on disk on return; no other write runs meanwhile.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Rows<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let session = self.number;
        self.database.write(move |connection| work(&Rows { connection, session })).await
    }

    pub(super) async fn get(&self, kind: Kind, key: impl Into<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let key = key.into();
        self.read(move |rows| rows.get(kind, &key)).await
    }

    /// Reads a value of [`write_json`].
    pub(super) async fn get_json<T: DeserializeOwned>(
        &self,
        kind: Kind,
        key: impl Into<Vec<u8>>,
    ) -> Result<Option<T>> {
        self.get(kind, key).await?.map(|value| read_json(&value)).transpose()
    }

    pub(super) async fn put(
        &self,
        kind: Kind,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Result<()> {
        let (key, value) = (key.into(), value.into());
        self.write(move |rows| rows.put(kind, &key, &value, IndexColumns::default())).await
    }

    /// Writes all entries in one transaction.
    pub(super) async fn put_all<K, V>(&self, kind: Kind, entries: Vec<(K, V)>) -> Result<()>
    where
        K: AsRef<[u8]> + Send + 'static,
        V: AsRef<[u8]> + Send + 'static,
    {
        let put = move |rows: &Rows<'_>| {
            entries.iter().try_for_each(|(key, value)| {
                rows.put(kind, key.as_ref(), value.as_ref(), IndexColumns::default())
            })
        };
        self.write(put).await
    }

    pub(super) async fn remove(&self, kind: Kind, key: impl Into<Vec<u8>>) -> Result<()> {
        let key = key.into();
        self.write(move |rows| rows.remove(kind, &key)).await
    }
}

/// Returns the names of all sessions with an entry.
pub(super) fn names(connection: &Connection) -> Result<Vec<String>> {
    let sql = "SELECT name FROM sessions ORDER BY number";
    let mut statement = connection.prepare(sql).map_err(sqlite_error)?;
    let names = statement.query_map([], |row| row.get(0)).map_err(sqlite_error)?;
    names.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
}

/// Deletes the session; the foreign key deletes its rows.
pub(super) fn delete(connection: &Connection, name: &str) -> Result<()> {
    connection.execute("DELETE FROM sessions WHERE name = ?1", [name]).map_err(sqlite_error)?;
    Ok(())
}

/// Returns whether the session has an entry.
pub(super) fn is_known(connection: &Connection, name: &str) -> Result<bool> {
    Ok(number(connection, name)?.is_some())
}

/// Returns the stored device of the session, if it has one.
pub(super) fn device(connection: &Connection, name: &str) -> Result<Option<Device>> {
    let Some(session) = number(connection, name)? else { return Ok(None) };
    let value = Rows { connection, session }.get(Kind::Device, b"")?;
    value.map(|value| read_json(&value)).transpose()
}

pub(super) fn write_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StoreError::Serialization(error.into()))
}

pub(super) fn read_json<T: DeserializeOwned>(value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|error| StoreError::Serialization(error.into()))
}

fn number(connection: &Connection, name: &str) -> Result<Option<i64>> {
    let sql = "SELECT number FROM sessions WHERE name = ?1";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite_error)?;
    statement.query_row([name], |row| row.get(0)).optional().map_err(sqlite_error)
}

/// Creates the entry of a session unless it exists; returns its number.
pub(super) fn insert(connection: &Connection, name: &str) -> Result<i64> {
    let sql = "INSERT INTO sessions (name) VALUES (?1) \
               ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING number";
    let mut statement = connection.prepare_cached(sql).map_err(sqlite_error)?;
    statement.query_row([name], |row| row.get(0)).map_err(sqlite_error)
}

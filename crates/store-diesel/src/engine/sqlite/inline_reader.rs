//! Point lookups in an SQLite file on the thread that asks.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use diesel::{QueryResult, SqliteConnection};

use crate::{
    StoreError,
    engine::{lookup_connections, sqlite::connect},
};

/// Looks up the row of this type that a query finds in an SQLite file, by `get_result` and not by `first`:
/// that binds a `LIMIT`, and SQLite plans a statement with a bound limit anew at every run.
macro_rules! inline_lookup {
    ($prompt:expr, $row:ty, $query:expr) => {
        $prompt.run(|conn| {
            use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
            let query = $query.select(<$row>::as_select());
            diesel::RunQueryDsl::get_result::<$row>(query, conn).optional()
        })
    };
}

/// Connections to an SQLite file that are used where one is.
pub(crate) struct InlineReader {
    file: PathBuf,
    connections: Box<[Mutex<Option<SqliteConnection>>]>,
}

impl InlineReader {
    pub(crate) fn new(file: PathBuf) -> Self {
        let connections = (0..=lookup_connections()).map(|_| Mutex::default()).collect();
        Self { file, connections }
    }

    /// Runs a look-up here and now. After a failure the connection is not used again.
    pub(crate) fn run<T>(
        &self,
        lookup: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut locked = self.free_connection();
        let mut conn = match locked.take() {
            Some(conn) => conn,
            None => connect::open_inline_reader(&self.file)
                .map_err(|error| StoreError::Unavailable(error.into()))?,
        };
        let found = lookup(&mut conn)?;
        *locked = Some(conn);
        Ok(found)
    }

    /// One that nobody uses; else the first, for which to wait takes no longer than a look-up.
    fn free_connection(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        let free = self.connections.iter().find_map(|connection| match connection.try_lock() {
            Ok(locked) => Some(locked),
            Err(TryLockError::Poisoned(locked)) => Some(locked.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.connections[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) use inline_lookup;

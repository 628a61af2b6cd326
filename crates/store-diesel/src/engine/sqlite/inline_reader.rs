//! Point lookups in an SQLite file on the thread of the request.
//!
//! A lookup takes some microseconds. Handing a lookup to a thread for blocking work and waiting for
//! that thread cost ten times as much.
//!
//! Decision: ADR 0018.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

use diesel::{QueryResult, SqliteConnection};

use crate::{
    StoreError,
    engine::{lookup_connections, sqlite::connect},
};

/// Returns the row that a query finds in an SQLite file. `get_result` instead of `first`: `first`
/// binds a `LIMIT`, and SQLite plans a statement with a bound limit again at every execution.
macro_rules! inline_lookup {
    ($prompt:expr, $row:ty, $query:expr) => {
        $prompt.run(|conn| {
            use diesel::{OptionalExtension, QueryDsl, SelectableHelper};
            let query = $query.select(<$row>::as_select());
            diesel::RunQueryDsl::get_result::<$row>(query, conn).optional()
        })
    };
}

/// Blocking connections to an SQLite file, one more than [`lookup_connections`].
pub(crate) struct InlineReader {
    file: PathBuf,
    connections: Box<[Mutex<Option<SqliteConnection>>]>,
}

impl InlineReader {
    pub(crate) fn new(file: PathBuf) -> Self {
        let connections = (0..=lookup_connections()).map(|_| Mutex::default()).collect();
        Self { file, connections }
    }

    /// Runs a lookup on the calling thread. A connection is not used again after an error.
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

    /// Locks an unused connection; if all are in use, waits for the first, which takes no longer
    /// than a lookup.
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

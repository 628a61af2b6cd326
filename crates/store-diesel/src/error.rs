//! Errors of the store, and their classification as temporary or permanent.

use std::{path::PathBuf, sync::Arc};

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as QueryError};
use domain::ports::{BoxError, PortError, Rejection};

use crate::engine::postgres::sqlstate;

/// An error from opening or using the database. No message contains the URL, which may hold a
/// password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is invalid.
    #[error("the database URL {0}")]
    Url(String),
    /// The folder of the SQLite file is missing and cannot be created.
    #[error("the database folder {folder} cannot be created")]
    Folder {
        /// Path of the folder.
        folder: PathBuf,
        /// Error of the file system.
        #[source]
        source: std::io::Error,
    },
    /// The trusted certificates cannot be read or used.
    #[error("TLS to the database cannot be set up: {0}")]
    Tls(String),
    /// The database cannot be reached, or did not answer in time.
    #[error("the database is unavailable")]
    Unavailable(#[source] BoxError),
    /// The server is shutting down or no longer accepts writes. All other connections to the server
    /// are unusable too.
    #[error("the database server no longer serves")]
    Gone(#[source] BoxError),
    /// A newer program has migrated the tables.
    #[error(
        "the database's schema is newer than this program: it has migration {found}, this program's \
         newest is {known}; run a program that is at least as new"
    )]
    Newer {
        /// Newest applied migration that this program does not know.
        found: String,
        /// Newest migration that this program knows.
        known: String,
    },
    /// The encoding of the database cannot store every text.
    #[error("the database's encoding is {found}; create the database with encoding UTF8")]
    Encoding {
        /// Encoding of the database.
        found: String,
    },
    /// A pooler between berth and the server assigns connections per transaction.
    #[error(
        "the database is behind a pooler in transaction or statement mode, in which session settings \
         and prepared statements do not last; use session mode, or connect to the server itself"
    )]
    Pooled,
    /// A migration failed.
    #[error("the database migration failed")]
    Migration(#[source] BoxError),
    /// The database rejected a statement.
    #[error("the database rejected a statement")]
    Query(#[source] QueryError),
    /// A row holds a value that berth never writes.
    #[error("invalid value in column {column} of row {row}")]
    Corrupt {
        /// Table and column, as `table.column`.
        column: &'static str,
        /// Id of the row.
        row: String,
    },
    /// The task that used the database panicked.
    #[error("the database task panicked")]
    Died(#[source] tokio::task::JoinError),
    /// Another request holds the idempotency key, or a quota is exceeded, so the transaction was
    /// rolled back. The error never leaves this crate.
    #[error("the commit is rejected")]
    Rejected(Rejection),
    /// A row of a commit no longer meets its condition, after another row of the commit was written.
    /// Rolls the transaction back; the error never leaves this crate.
    #[error("a row of the commit has changed")]
    LostRace,
    /// A deleted session had the id of a session, and its messages are not all removed.
    #[error("messages of an earlier session with the id {0} remain")]
    Remaining(String),
    /// A value does not fit its column.
    #[error("a value does not fit column {column}")]
    Unfit {
        /// Table and column, as `table.column`.
        column: &'static str,
    },
}

impl StoreError {
    /// Returns an error that several callers share as an error of a port.
    pub(crate) fn as_port_error(self: Arc<Self>) -> PortError {
        match *self {
            Self::Unavailable(_) | Self::Gone(_) => PortError::Unavailable(self.into()),
            _ => PortError::Broken(self.into()),
        }
    }

    /// Returns the error of a whole batch as an error of one of its writes. Errors of single writes
    /// are not shared, so that a shared error says nothing about the write itself: for its caller,
    /// the write is *unavailable*, and a node sends its report again.
    pub(crate) fn shared(self: &Arc<Self>) -> Self {
        Self::Unavailable(self.clone().into())
    }

    pub(crate) fn corrupt(column: &'static str, row: &str) -> Self {
        Self::Corrupt { column, row: row.to_owned() }
    }
}

/// The cause of a failed statement.
enum StatementFailure {
    /// A temporary condition: the caller may retry.
    Transient,
    /// The server is unusable, with all its connections.
    Gone,
    /// The statement itself.
    Statement,
}

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        let trouble = match &error {
            QueryError::DatabaseError(kind, info) => StatementFailure::of(*kind, info.as_ref()),
            QueryError::BrokenTransactionManager | QueryError::RollbackErrorOnCommit { .. } => {
                StatementFailure::Transient
            }
            _ => StatementFailure::Statement,
        };
        match trouble {
            StatementFailure::Transient => Self::Unavailable(error.into()),
            StatementFailure::Gone => Self::Gone(error.into()),
            StatementFailure::Statement => Self::Query(error),
        }
    }
}

impl StoreError {
    /// Whether the server reported that the statement was not executed.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Query(QueryError::DatabaseError(..)) => true,
            Self::Unavailable(cause) => match cause.downcast_ref() {
                Some(QueryError::DatabaseError(_, info)) => sqlstate::of(info.as_ref()).is_some(),
                _ => false,
            },
            _ => false,
        }
    }
}

impl StatementFailure {
    fn of(kind: DatabaseErrorKind, info: &dyn DatabaseErrorInformation) -> Self {
        use DatabaseErrorKind as Kind;
        match kind {
            Kind::ClosedConnection | Kind::UnableToSendCommand | Kind::SerializationFailure => {
                Self::Transient
            }
            // A primary that has become a standby.
            Kind::ReadOnlyTransaction => Self::Gone,
            _ => match sqlstate::of(info) {
                Some(code) => Self::of_sqlstate(code),
                None if is_transient_in_sqlite(info.message()) => Self::Transient,
                None => Self::Statement,
            },
        }
    }

    /// Classifies the codes of PostgreSQL's documentation, appendix A, "PostgreSQL Error Codes".
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // Shutdown by an administrator, crash, start-up, dropped database, read-only
            // transaction.
            "57P01" | "57P02" | "57P03" | "57P04" | "25006" => Self::Gone,
            // Lock not available in time, serialization failure, deadlock.
            "55P03" | "40001" | "40P01" => Self::Transient,
            _ => match &code[..2] {
                // Connection exceptions.
                "08" => Self::Gone,
                // Insufficient resources, operator intervention, system errors.
                "53" | "57" | "58" => Self::Transient,
                _ => Self::Statement,
            },
        }
    }
}

/// Whether another process holds SQLite's lock, or the disk is full or failing. Diesel passes on
/// SQLite's result code only as the text of `sqlite3_errstr`, which is always English.
fn is_transient_in_sqlite(message: &str) -> bool {
    [
        "database is locked",
        "database table is locked",
        "database or disk is full",
        "disk I/O error",
        "unable to open database file",
        "attempt to write a readonly database",
    ]
    .contains(&message)
}

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Gone(_) => Self::Unavailable(error.into()),
            _ => Self::Broken(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error message in another language, with a SQLSTATE as its hint.
    struct ServerMessage(&'static str);

    impl DatabaseErrorInformation for ServerMessage {
        fn message(&self) -> &'static str {
            "breche Anfrage ab"
        }
        fn details(&self) -> Option<&str> {
            None
        }
        fn hint(&self) -> Option<&str> {
            Some(self.0)
        }
        fn table_name(&self) -> Option<&str> {
            None
        }
        fn column_name(&self) -> Option<&str> {
            None
        }
        fn constraint_name(&self) -> Option<&str> {
            None
        }
        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    fn classified(hint: &'static str) -> StoreError {
        QueryError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(ServerMessage(hint))).into()
    }

    #[test]
    fn failures_are_classified_by_sqlstate_in_every_language() {
        for code in ["53100", "53300", "57014", "57014 a hint", "58030", "55P03", "40001", "40P01"]
        {
            let error = classified(code);
            assert!(matches!(error, StoreError::Unavailable(_)), "{code}");
            assert!(error.is_refusal(), "{code}");
        }
        for code in ["57P01", "57P02", "57P03", "08006", "25006"] {
            assert!(matches!(classified(code), StoreError::Gone(_)), "{code}");
        }
        for code in ["22021", "42P01", "54000", "23505", "no code"] {
            assert!(matches!(classified(code), StoreError::Query(_)), "{code}");
        }
    }
}

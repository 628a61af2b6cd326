//! How the database fails, and what of that a caller may hope to be over in a moment.

use std::{path::PathBuf, sync::Arc};

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as QueryError};
use domain::ports::{BoxError, PortError, Refusal};

use crate::engine::postgres::sqlstate;

/// How opening or using the database fails. Never names the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL cannot be used.
    #[error("the database URL {0}")]
    Url(String),
    /// The folder of the SQLite file is missing and cannot be made.
    #[error("the folder {folder} for the database cannot be made")]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificates to trust cannot be used.
    #[error("TLS to the database cannot be set up: {0}")]
    Tls(String),
    /// It cannot be reached, or did not answer in time.
    #[error("the database is unavailable")]
    Unavailable(#[source] BoxError),
    /// The server no longer does what it is for: it is shutting down, or takes no writes any more. Its
    /// other connections are of no use either.
    #[error("the database server no longer serves")]
    Gone(#[source] BoxError),
    /// A newer program has brought the tables up to date.
    #[error(
        "the database's schema is newer than this program: it has migration {found}, this program's \
         newest is {known}; run a program that is at least as new"
    )]
    Newer {
        /// The newest migration that this program does not know.
        found: String,
        /// The newest that it knows.
        known: String,
    },
    /// Texts cannot be stored as they are.
    #[error(
        "the database's encoding is {found}; berth needs one that is made with the encoding UTF8"
    )]
    Encoding {
        /// What it is.
        found: String,
    },
    /// A pooler in between gives every transaction another connection.
    #[error(
        "the database is behind a pooler in transaction or statement mode, where a session's settings \
         and prepared statements do not last; use session mode, or connect to the server itself"
    )]
    Pooled,
    /// The migrations failed.
    #[error("the database cannot be brought up to date")]
    Migration(#[source] BoxError),
    /// It refused a statement.
    #[error("the database refused a statement")]
    Query(#[source] QueryError),
    /// A row holds something that berth never writes.
    #[error("the database holds a {column} that cannot be, in the row {row}")]
    Corrupt {
        /// Table and column.
        column: &'static str,
        /// The row's name.
        row: String,
    },
    /// What was asked for did not come to an end.
    #[error("the work with the database died")]
    Died(#[source] tokio::task::JoinError),
    /// A receipt's slot is taken, and the transaction that wanted it is undone. Never leaves this
    /// crate.
    #[error("a receipt is kept there already")]
    Repeated,
    /// The organization has, or does, as much as it may, and the transaction that wanted more is undone.
    /// Never leaves this crate.
    #[error("there is no room for it")]
    Refused(Refusal),
    /// A value has no place in its column.
    #[error("this {column} cannot be stored")]
    Unfit {
        /// Table and column.
        column: &'static str,
    },
}

impl StoreError {
    /// One failure, as each of several is told it.
    pub(crate) fn as_port_error(self: Arc<Self>) -> PortError {
        match *self {
            Self::Unavailable(_) | Self::Gone(_) => PortError::Unavailable(self.into()),
            _ => PortError::Broken(self.into()),
        }
    }

    /// The same, where it is an error of this crate still.
    pub(crate) fn shared(self: &Arc<Self>) -> Self {
        Self::Unavailable(self.clone().into())
    }

    pub(crate) fn corrupt(column: &'static str, row: &str) -> Self {
        Self::Corrupt { column, row: row.to_owned() }
    }
}

/// What a failed statement means for whoever asked.
enum StatementFailure {
    /// It passes: worth asking again in a moment.
    Transient,
    /// It is about the server, whose connections are all of no use any more.
    Gone,
    /// It is about the statement.
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
    /// Whether the server itself said that it did not carry out the statement.
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

    /// PostgreSQL's documentation, appendix A, "PostgreSQL Error Codes".
    fn of_sqlstate(code: &str) -> Self {
        match code {
            // Shut down by an administrator, crashed, starting, the database dropped.
            "57P01" | "57P02" | "57P03" | "57P04" | "25006" => Self::Gone,
            // A lock not free in time, two statements in each other's way.
            "55P03" | "40001" | "40P01" => Self::Transient,
            _ => match &code[..2] {
                // The connection.
                "08" => Self::Gone,
                // Resources, an operator's intervention, the system below.
                "53" | "57" | "58" => Self::Transient,
                _ => Self::Statement,
            },
        }
    }
}

/// Whether another process holds SQLite's lock, or the disk is full or failing. Diesel gives SQLite's
/// result code no other form than SQLite's text for it (`sqlite3_errstr`), which is in no other language.
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

    /// What a server said, in a language of its own.
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

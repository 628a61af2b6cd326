//! How the database fails, and what of that a caller may hope to be over in a moment.

use std::{path::PathBuf, sync::Arc};

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as QueryError};
use domain::ports::{BoxError, PortError, Refusal};

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
    pub(crate) fn told(self: Arc<Self>) -> PortError {
        match *self {
            Self::Unavailable(_) => PortError::Unavailable(self.into()),
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

impl From<QueryError> for StoreError {
    fn from(error: QueryError) -> Self {
        use DatabaseErrorKind as Kind;
        let passing = match &error {
            QueryError::DatabaseError(kind, info) => match kind {
                Kind::ClosedConnection
                | Kind::UnableToSendCommand
                // A standby during a failover.
                | Kind::ReadOnlyTransaction
                | Kind::SerializationFailure => true,
                Kind::Unknown => is_passing_trouble(info.as_ref()),
                _ => false,
            },
            QueryError::BrokenTransactionManager | QueryError::RollbackErrorOnCommit { .. } => true,
            _ => false,
        };
        if passing { Self::Unavailable(error.into()) } else { Self::Query(error) }
    }
}

/// Troubles that have no class of their own, only a text. SQLite: another process holds the lock, or
/// the disk is full or failing. PostgreSQL: two of berth's own rounds met, and one may try again.
fn is_passing_trouble(info: &dyn DatabaseErrorInformation) -> bool {
    [
        "database is locked",
        "database table is locked",
        "database or disk is full",
        "disk I/O error",
        "unable to open database file",
        "deadlock detected",
    ]
    .contains(&info.message())
}

impl From<StoreError> for PortError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(error.into()),
            _ => Self::Broken(error.into()),
        }
    }
}

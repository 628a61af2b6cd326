//! What statements are told: whose rows, which of them, and how they must stand.

use domain::{ExpectedVersion, Reach, Scope, SessionId, Timestamp};

use crate::{StoreError, rows::column::to_bigint};

/// A scope, as parameters of a statement.
pub(crate) struct ScopeParams {
    /// The organization.
    pub(crate) organization: String,
    /// Whether all its sessions are in reach, also those still to come.
    pub(crate) everything: bool,
    /// Those in reach otherwise.
    pub(crate) only: Vec<String>,
}

impl ScopeParams {
    pub(crate) fn of(scope: &Scope) -> Self {
        let (everything, only) = match scope.reach() {
            Reach::Everything => (true, Vec::new()),
            Reach::Only(sessions) => (false, sessions.iter().map(ToString::to_string).collect()),
        };
        Self { organization: scope.organization().to_string(), everything, only }
    }
}

/// One session of a caller, as parameters of a statement.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct ScopedSessionId {
    pub(crate) organization: String,
    pub(crate) id: String,
    pub(crate) in_reach: bool,
}

impl ScopedSessionId {
    /// This session, if the scope has it.
    pub(crate) fn new(scope: &Scope, id: &SessionId) -> Self {
        Self {
            organization: scope.organization().to_string(),
            id: id.to_string(),
            in_reach: scope.reach().covers(id),
        }
    }

    /// Its session.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// By what a row is found that is there.
    pub(crate) fn of_row(organization: &str, id: &str) -> Self {
        Self { organization: organization.to_owned(), id: id.to_owned(), in_reach: true }
    }
}

/// How a session must still stand to be written, as parameters of a statement.
#[derive(Clone, Copy)]
pub(crate) struct ExpectedRowVersion {
    pub(crate) version: i64,
    pub(crate) due: Option<i64>,
}

impl ExpectedRowVersion {
    pub(crate) fn of(expected_version: ExpectedVersion) -> Result<Self, StoreError> {
        let version = to_bigint("sessions.version", expected_version.version.0)?;
        Ok(Self { version, due: expected_version.due.map(Timestamp::millis) })
    }
}

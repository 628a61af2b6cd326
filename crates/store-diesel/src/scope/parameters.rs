//! Parameters of the fragments: scope, session and expected version.

use domain::{ExpectedVersion, OrganizationId, Reach, Scope, SessionId, Timestamp};

use crate::{StoreError, rows::column::to_bigint};

/// A scope as parameters of a statement.
pub(crate) struct ScopeParams {
    /// The organization of the scope.
    pub(crate) organization: String,
    /// Whether the reach includes all sessions of the organization, also future ones.
    pub(crate) everything: bool,
    /// The sessions in reach; empty if `everything`.
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

    /// Returns the scope of a whole organization, for the work of berth itself.
    pub(crate) fn of_organization(organization: &OrganizationId) -> Self {
        Self { organization: organization.to_string(), everything: true, only: Vec::new() }
    }
}

/// A session id with the scope of its lookup, as parameters of a statement.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct ScopedSessionId {
    pub(crate) organization: String,
    pub(crate) id: String,
    pub(crate) in_reach: bool,
}

impl ScopedSessionId {
    /// Combines an id with a scope, and computes whether the id is in reach.
    pub(crate) fn new(scope: &Scope, id: &SessionId) -> Self {
        Self {
            organization: scope.organization().to_string(),
            id: id.to_string(),
            in_reach: scope.reach().covers(id),
        }
    }

    /// Returns the session id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the parameters that find an existing row.
    pub(crate) fn of_row(organization: &str, id: &str) -> Self {
        Self { organization: organization.to_owned(), id: id.to_owned(), in_reach: true }
    }
}

/// The version and the due time that a row must still have for a write.
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

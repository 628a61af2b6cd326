//! Use case of the session delete, including sessions with an unreadable row.

use crate::{
    access::{Scope, or_not_found},
    caller::{Actor, Caller, Capability},
    commit::{Commit, Decision, execute},
    deadlines::Deadlines,
    error::{Error, Result},
    id::SessionId,
    ports::environment::Environment,
    session::{
        model::Session,
        partial_session::PartialSession,
        service::Sessions,
        unlink::LogoutOutcome,
        version::{StoredVersion, Version},
        write::SessionWrite,
    },
};

/// A session to delete, as far as its row can be read.
enum SessionToDelete {
    Whole(Box<Session>),
    Partial(PartialSession),
}

impl Sessions {
    /// Deletes a session. The session disappears for its owner at once; the worker cleans up the
    /// device and the keys afterwards. A session with an unreadable row is deleted too, if the
    /// caller expects no version.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`], [`Error::NotFound`],
    /// [`Error::PreconditionFailed`] at another version, and errors of the store.
    pub async fn delete(&self, caller: &Caller, id: &str, expected: Option<Version>) -> Result<()> {
        let scope = caller.may(Capability::Manage)?;
        let environment = &*self.ports.environment;
        let decide = |found| {
            let commit = match found {
                SessionToDelete::Whole(session) => {
                    session.deletion(scope.actor(), &self.deadlines, environment)
                }
                SessionToDelete::Partial(session) => {
                    session.deletion(&scope, &self.deadlines, environment)
                }
            };
            Ok(Decision::Write(commit, ()))
        };
        let find = || self.find_to_delete(&scope, id, expected);
        execute(&self.owned_sessions(&scope, None), find, decide).await
    }

    async fn find_to_delete(
        &self,
        scope: &Scope,
        id: &str,
        expected: Option<Version>,
    ) -> Result<SessionToDelete> {
        match self.find(scope, id).await {
            // The version of an unreadable row cannot be compared.
            Err(Error::Internal(_)) if expected.is_none() => {
                let id = or_not_found("session", SessionId::parse(id))?;
                let found = self.ports.store.partial_session(scope, &id).await?;
                Ok(SessionToDelete::Partial(or_not_found("session", found)?))
            }
            found => Ok(SessionToDelete::Whole(Box::new(found?.require_version(expected)?))),
        }
    }
}

impl Session {
    /// Returns the commit that deletes the session.
    pub(crate) fn deletion(
        self,
        actor: &Actor,
        deadlines: &Deadlines,
        environment: &dyn Environment,
    ) -> Commit<SessionWrite> {
        let version = StoredVersion::from(self.version);
        let (change, mut cleanup) = self.delete(actor, environment.now(), deadlines);
        let mut commit = change.into_commit(actor, environment);
        if cleanup.gateway.is_none() {
            commit.events.extend(cleanup.report_outcome(LogoutOutcome::NotLinked, environment));
        }
        commit.map(|_| SessionWrite::Delete(cleanup, version)).recorded(None)
    }
}

//! The delete of a session: the use case, and the cleanup and the events that remain.
//!
//! Decision: ADR 0006.

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    cleanup::Cleanup,
    commit::{Commit, Decision, execute},
    deadlines::Deadlines,
    error::{Error, Result},
    id::SessionId,
    ports::environment::Environment,
    session::{
        partial_session::PartialSession,
        service::Sessions,
        unlink::LogoutOutcome,
        version::{StoredVersion, Version},
        write::SessionWrite,
    },
    time::Timestamp,
};

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
        let decide = |session: PartialSession| {
            let commit = session.deletion(&scope, &self.deadlines, &*self.ports.environment);
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
    ) -> Result<PartialSession> {
        match self.find(scope, id).await {
            // The version of an unreadable row cannot be compared.
            Err(Error::Internal(_)) if expected.is_none() => {
                let id = or_not_found("session", SessionId::parse(id))?;
                let found = self.ports.store.partial_session(scope, &id).await?;
                or_not_found("session", found)
            }
            found => Ok(PartialSession::from(&found?.require_version(expected)?)),
        }
    }
}

/// Epoch of the cleanup if the epoch of the session cannot be read: higher than every epoch that a
/// node can know. If a node knows a higher one, the cleanup advances its epoch like any other.
const FALLBACK_EPOCH: u64 = 1 << 40;

impl PartialSession {
    /// Returns the commit that deletes the session.
    pub(crate) fn deletion(
        self,
        scope: &Scope,
        deadlines: &Deadlines,
        environment: &dyn Environment,
    ) -> Commit<SessionWrite> {
        let mut cleanup = self.cleanup(scope, environment.now(), deadlines);
        let mut events = vec![cleanup.deletion_event(environment)];
        if cleanup.gateway.is_none() {
            // Without the node, a linked device cannot be excluded.
            let outcome = if self.is_on_unknown_node {
                LogoutOutcome::Unconfirmed
            } else {
                LogoutOutcome::NotLinked
            };
            events.extend(cleanup.report_outcome(outcome, environment));
        }
        let change = SessionWrite::Delete(cleanup, StoredVersion(self.stored_version));
        Commit { change, events, idempotency: None }
    }

    /// Returns the cleanup that remains after the delete.
    pub(crate) fn cleanup(&self, scope: &Scope, now: Timestamp, deadlines: &Deadlines) -> Cleanup {
        Cleanup {
            session: self.id.clone(),
            organization: scope.organization().clone(),
            gateway: self.gateway.clone(),
            epoch: self.epoch.map_or(FALLBACK_EPOCH, |epoch| epoch + 1),
            linked: self.linked,
            requested_by: scope.actor().clone(),
            requested_at: now,
            deadline: now.plus(deadlines.cleanup),
            due: now,
            attempts: 0,
            sequence: self.sequence + 1,
            outcome_reported: false,
        }
    }
}

//! Session store in memory.

use async_trait::async_trait;

use crate::{
    access::Scope,
    cleanup::Cleanup,
    event::Event,
    id::SessionId,
    idempotency::IdempotencyRecord,
    link_attempt::LinkAttempt,
    ports::{
        error::PortResult,
        store::{
            sessions::{SessionPage, SessionStore},
            written::Written,
        },
    },
    session::{
        model::Session,
        partial_session::PartialSession,
        version::{ExpectedVersion, Version},
    },
    testing::memory::state::{Memory, page_of, require_own_organization},
};

#[async_trait]
impl SessionStore for Memory {
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        require_own_organization(scope, &session.organization, events)?;
        state.insert(scope, session, events, record, None)
    }

    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>> {
        let state = self.state()?;
        state.visible(scope, id).map(|session| state.readable(session)).transpose()
    }

    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>> {
        let state = self.state()?;
        let visible =
            |s: &&Session| scope.covers(&s.organization, &s.id) && !state.corrupted.contains(&s.id);
        Ok(page_of(state.sessions.values().filter(visible), page))
    }

    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written> {
        self.state()?.update(scope, session, expected, events, record, None)
    }

    async fn write_with_link_attempt(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Option<ExpectedVersion>,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: &LinkAttempt,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        if let Some(expected) = expected {
            return state.update(scope, session, expected, events, record, Some(attempt));
        }
        require_own_organization(scope, &session.organization, events)?;
        state.insert(scope, session, events, record, Some(attempt))
    }

    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>> {
        let state = self.state()?;
        let partial_session = |session: &Session| PartialSession {
            id: session.id.clone(),
            gateway: session.gateway.clone(),
            is_on_unknown_node: false,
            epoch: Some(session.spec.epoch),
            linked: session.is_paired(),
            sequence: session.sequence,
            stored_version: i64::try_from(session.version.0).unwrap_or(i64::MAX),
        };
        Ok(state.visible(scope, id).map(partial_session))
    }

    async fn delete_partial(
        &self,
        scope: &Scope,
        stored_version: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let Ok(version) = u64::try_from(stored_version) else { return Ok(Written::Raced) };
        self.delete(scope, Version(version), cleanup, events).await
    }

    async fn delete(
        &self,
        scope: &Scope,
        expected: Version,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.visible(scope, &cleanup.session);
        if known.is_none_or(|session| session.version != expected) {
            return Ok(Written::Raced);
        }
        require_own_organization(scope, &cleanup.organization, events)?;
        state.sessions.remove(&cleanup.session);
        if !cleanup.is_complete() {
            state.cleanups.insert(cleanup.session.clone(), cleanup.clone());
        }
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }
}

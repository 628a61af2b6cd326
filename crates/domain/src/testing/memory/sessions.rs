//! Session store in memory.

use async_trait::async_trait;

use crate::{
    access::Scope,
    cleanup::Cleanup,
    commit::Commit,
    id::SessionId,
    link_attempt::LinkAttempt,
    ports::{
        error::PortResult,
        store::{
            sessions::{SessionPage, SessionStore},
            written::{CommitOutcome, Written},
        },
    },
    resource_quota::Resource,
    session::{
        model::Session,
        partial_session::PartialSession,
        version::StoredVersion,
        write::{SessionUpdate, SessionWrite},
    },
    testing::memory::state::{
        Memory, MemoryState, is_unchanged, metadata_bytes, page_of, require_own_organization,
    },
};

#[async_trait]
impl SessionStore for Memory {
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

    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        let mut state = self.state()?;
        match &commit.change {
            SessionWrite::Insert(session, attempt) => {
                state.insert(scope, session, attempt.as_ref(), commit)
            }
            SessionWrite::Update(update, attempt) => {
                state.update(scope, update, attempt.as_ref(), commit)
            }
            SessionWrite::Delete(cleanup, version) => {
                state.delete(scope, cleanup, *version, commit)
            }
        }
    }

    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>> {
        let state = self.state()?;
        Ok(state.visible(scope, id).map(PartialSession::from))
    }
}

impl MemoryState {
    fn insert(
        &mut self,
        scope: &Scope,
        session: &Session,
        attempt: Option<&LinkAttempt>,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        require_own_organization(scope, &session.organization, &commit.events)?;
        if self.sessions.contains_key(&session.id) {
            return Ok(Ok(Written::Raced));
        }
        let grown = [(Resource::Sessions, 1), (Resource::Metadata, metadata_bytes(session))];
        if let Err(rejection) = self.accept(scope, &grown, attempt, commit, session.created_at) {
            return Ok(Err(rejection));
        }
        self.sessions.insert(session.id.clone(), session.clone());
        Ok(Ok(Written::Done))
    }

    fn update(
        &mut self,
        scope: &Scope,
        update: &SessionUpdate,
        attempt: Option<&LinkAttempt>,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        let SessionUpdate { session, expected } = update;
        let known = self.visible(scope, &session.id).filter(|known| is_unchanged(known, *expected));
        let Some(known) = known else { return Ok(Ok(Written::Raced)) };
        require_own_organization(scope, scope.organization(), &commit.events)?;
        let grown = metadata_bytes(session).saturating_sub(metadata_bytes(known));
        let grown = [(Resource::Metadata, grown)];
        if let Err(rejection) = self.accept(scope, &grown, attempt, commit, session.updated_at) {
            return Ok(Err(rejection));
        }
        Ok(Ok(self.replace(update)))
    }

    fn delete(
        &mut self,
        scope: &Scope,
        cleanup: &Cleanup,
        version: StoredVersion,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        let known = self.visible(scope, &cleanup.session);
        if known.is_none_or(|session| StoredVersion::from(session.version) != version) {
            return Ok(Ok(Written::Raced));
        }
        require_own_organization(scope, &cleanup.organization, &commit.events)?;
        if let Err(rejection) = self.accept(scope, &[], None, commit, cleanup.requested_at) {
            return Ok(Err(rejection));
        }
        self.sessions.remove(&cleanup.session);
        self.end_messaging(&cleanup.session);
        self.share_links.retain(|_, link| link.session != cleanup.session);
        if !cleanup.is_complete() {
            self.cleanups.insert(cleanup.session.clone(), cleanup.clone());
        }
        Ok(Ok(Written::Done))
    }
}

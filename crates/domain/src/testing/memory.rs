//! Every store port in memory: what callers see. The reconciler's side is in `memory_worker_store`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;

use super::memory_quotas::metadata_bytes;
use crate::{
    ApiKey, Cleanup, DueAsRead, Event, ExpectedVersion, GatewayId, IdempotencyKeyHash,
    IdempotencyRecord, KeyId, LinkAttempt, Node, OrganizationId, PartialSession, Quotas, Resource,
    Scope, Session, SessionId, Timestamp, Version,
    ports::{NodeStore, PortError, PortResult, SessionPage, SessionStore, Written},
};

/// Everything that is remembered, in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<MemoryState>>);

#[derive(Debug, Default)]
pub(super) struct MemoryState {
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) cleanups: BTreeMap<SessionId, Cleanup>,
    pub(super) nodes: BTreeMap<GatewayId, Node>,
    pub(super) orphans: super::memory_orphans::OrphanRows,
    pub(super) keys: BTreeMap<KeyId, ApiKey>,
    pub(super) events: Vec<Event>,
    pub(super) idempotency_records:
        BTreeMap<(OrganizationId, IdempotencyKeyHash), IdempotencyRecord>,
    /// Sessions whose rows cannot be read.
    pub(super) corrupted: BTreeSet<SessionId>,
    pub(super) attempts: Vec<(OrganizationId, LinkAttempt)>,
    pub(super) quotas: Quotas,
    down: bool,
}

impl Memory {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything in it, as text: two equal fingerprints are two equal states.
    pub fn fingerprint(&self) -> String {
        self.0.lock().map_or_else(|_| String::new(), |state| format!("{state:?}"))
    }

    /// All events of all organizations, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().map_or_else(|_| Vec::new(), |state| state.events.clone())
    }

    /// All retirements.
    pub fn cleanups(&self) -> Vec<Cleanup> {
        let all = |state: MutexGuard<'_, MemoryState>| state.cleanups.values().cloned().collect();
        self.0.lock().map_or_else(|_| Vec::new(), all)
    }

    /// All receipts and whose they are.
    pub fn idempotency_records(&self) -> Vec<(OrganizationId, IdempotencyRecord)> {
        let stored =
            |(key, record): (&(OrganizationId, IdempotencyKeyHash), &IdempotencyRecord)| {
                (key.0.clone(), record.clone())
            };
        let all = |state: MutexGuard<'_, MemoryState>| {
            state.idempotency_records.iter().map(stored).collect()
        };
        self.0.lock().map_or_else(|_| Vec::new(), all)
    }

    /// From now on every call fails as unavailable, or no longer.
    pub fn set_down(&self, down: bool) {
        if let Ok(mut state) = self.0.lock() {
            state.down = down;
        }
    }

    /// From now on this session's row cannot be read.
    pub fn corrupt(&self, id: &SessionId) {
        if let Ok(mut state) = self.0.lock() {
            state.corrupted.insert(id.clone());
        }
    }

    /// Keeps no more for an organization than this from now on. Without it, any amount.
    pub fn set_quotas(&self, quotas: Quotas) {
        if let Ok(mut state) = self.0.lock() {
            state.quotas = quotas;
        }
    }

    /// All attempts at linking that are remembered, and whose they are.
    pub fn link_attempts(&self) -> Vec<(OrganizationId, LinkAttempt)> {
        self.0.lock().map_or_else(|_| Vec::new(), |state| state.attempts.clone())
    }

    pub(super) fn state(&self) -> PortResult<MutexGuard<'_, MemoryState>> {
        let state = self.0.lock().map_err(|_| PortError::Broken("poisoned".into()))?;
        if state.down {
            return Err(PortError::Unavailable("down, as the test wants it".into()));
        }
        Ok(state)
    }
}

/// A session as a reader gets it.
pub(super) fn read(known: &Session) -> Session {
    Session { due_as_read: DueAsRead(known.due), ..known.clone() }
}

/// What is written belongs to the scope's organization.
pub(super) fn require_own_organization(
    scope: &Scope,
    organization: &OrganizationId,
    events: &[Event],
) -> PortResult<()> {
    let own = scope.organization();
    let foreign_writes = events.iter().any(|event| event.organization != *own);
    if organization == own && !foreign_writes {
        return Ok(());
    }
    Err(PortError::Broken("something of another organization".into()))
}

/// Whether nobody has written or woken it.
pub(super) fn is_unchanged(known: &Session, expected: ExpectedVersion) -> bool {
    known.version == expected.version && known.due == expected.due
}

impl MemoryState {
    /// Replaces a session if it still stands as `expected`.
    pub(super) fn replace(
        &mut self,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
    ) -> Written {
        match self.sessions.get_mut(&session.id) {
            Some(known) if is_unchanged(known, expected) => {
                let (id, organization) = (known.id.clone(), known.organization.clone());
                let (created_by, created_at) = (known.created_by.clone(), known.created_at);
                *known = Session { id, organization, created_by, created_at, ..session.clone() };
                self.events.extend_from_slice(events);
                Written::Done
            }
            _ => Written::Raced,
        }
    }

    /// A session as a reader gets it, if its row can be read.
    pub(super) fn readable(&self, session: &Session) -> PortResult<Session> {
        if self.corrupted.contains(&session.id) {
            return Err(PortError::Broken(
                "a row that cannot be read, as the test wants it".into(),
            ));
        }
        Ok(read(session))
    }

    fn insert(
        &mut self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        if self.sessions.contains_key(&session.id) {
            return Err(PortError::Broken("the session exists".into()));
        }
        let grown = [(Resource::Sessions, 1), (Resource::Metadata, metadata_bytes(session))];
        if let Some(refusal) = self.refusal(scope, &grown, record, session.created_at, attempt) {
            return Ok(refusal);
        }
        self.insert_records(scope, record, attempt);
        self.sessions.insert(session.id.clone(), session.clone());
        self.events.extend_from_slice(events);
        Ok(Written::Done)
    }

    fn update(
        &mut self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: Option<&LinkAttempt>,
    ) -> PortResult<Written> {
        let known = self.visible(scope, &session.id).filter(|known| is_unchanged(known, expected));
        let Some(known) = known else { return Ok(Written::Raced) };
        require_own_organization(scope, scope.organization(), events)?;
        let grown = metadata_bytes(session).saturating_sub(metadata_bytes(known));
        let grown = [(Resource::Metadata, grown)];
        if let Some(refusal) = self.refusal(scope, &grown, record, session.updated_at, attempt) {
            return Ok(refusal);
        }
        self.insert_records(scope, record, attempt);
        Ok(self.replace(session, expected, events))
    }

    pub(super) fn visible(&self, scope: &Scope, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id).filter(|session| scope.covers(&session.organization, id))
    }
}

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

/// The page of these sessions.
pub(super) fn page_of<'a>(
    sessions: impl Iterator<Item = &'a Session>,
    page: &SessionPage,
) -> Vec<Session> {
    let after = |s: &&Session| {
        let key = (s.created_at, &s.id);
        page.after.as_ref().is_none_or(|after| key < (after.created_at, &after.id))
    };
    let mut found: Vec<_> = sessions.filter(|s| page.filter.matches(s)).filter(after).collect();
    found.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    found.into_iter().take(usize::try_from(page.limit).unwrap_or(usize::MAX)).map(read).collect()
}

#[async_trait]
impl NodeStore for Memory {
    async fn register(&self, node: &Node) -> PortResult<u64> {
        let mut state = self.state()?;
        let generation = match state.nodes.get(&node.id) {
            Some(known) if known.incarnation == node.incarnation && known.lost_at.is_none() => {
                known.generation
            }
            Some(known) => known.generation + 1,
            None => 1,
        };
        let same = state.nodes.get(&node.id).filter(|known| known.generation == generation);
        let heartbeat_at = same.map_or(node.heartbeat_at, |known| known.heartbeat_at);
        let node = Node { generation, heartbeat_at, lost_at: None, ..node.clone() };
        state.nodes.insert(node.id.clone(), node);
        Ok(generation)
    }

    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        since: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let known = state.nodes.get_mut(id);
        let known = known.filter(|n| n.incarnation == incarnation && n.lost_at.is_none());
        let Some(node) = known else { return Ok(false) };
        (node.held, node.heartbeat_at) = (held, node.heartbeat_at.max(since));
        Ok(true)
    }

    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>> {
        Ok(self.state()?.nodes.get(id).cloned())
    }

    async fn list(&self) -> PortResult<Vec<Node>> {
        Ok(self.state()?.nodes.values().cloned().collect())
    }

    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let known = state.nodes.get_mut(id).filter(|node| {
            node.incarnation == incarnation
                && node.heartbeat_at < silent_since
                && node.lost_at.is_none()
        });
        let lost = known.is_some();
        if let Some(node) = known {
            node.lost_at = Some(now);
        }
        Ok(lost)
    }
}

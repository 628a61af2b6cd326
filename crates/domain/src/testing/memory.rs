//! Every store port in memory: what callers see. The reconciler's side is in `memory_backlog`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;

use crate::{
    ApiKey, AsRead, Event, GatewayId, Guard, KeyId, Node, OrganizationId, Receipt, Remains,
    Retirement, Scope, Session, SessionId, Slot, Timestamp, Version,
    ports::{
        ApiKeyStore, KeyDirectory, KeyPage, NodeStore, PortError, PortResult, Registry,
        SessionPage, SessionStore, ShownKey, Written,
    },
};

/// Everything that is remembered, in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) retirements: BTreeMap<SessionId, Retirement>,
    pub(super) nodes: BTreeMap<GatewayId, Node>,
    pub(super) keys: BTreeMap<KeyId, ApiKey>,
    pub(super) events: Vec<Event>,
    pub(super) receipts: BTreeMap<(OrganizationId, Slot), Receipt>,
    /// Sessions whose rows cannot be read.
    pub(super) spoilt: BTreeSet<SessionId>,
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
    pub fn retirements(&self) -> Vec<Retirement> {
        let all = |state: MutexGuard<'_, State>| state.retirements.values().cloned().collect();
        self.0.lock().map_or_else(|_| Vec::new(), all)
    }

    /// All receipts and whose they are.
    pub fn receipts(&self) -> Vec<(OrganizationId, Receipt)> {
        let kept = |(place, receipt): (&(OrganizationId, Slot), &Receipt)| {
            (place.0.clone(), receipt.clone())
        };
        let all = |state: MutexGuard<'_, State>| state.receipts.iter().map(kept).collect();
        self.0.lock().map_or_else(|_| Vec::new(), all)
    }

    /// From now on every call fails as unavailable, or no longer.
    pub fn set_down(&self, down: bool) {
        if let Ok(mut state) = self.0.lock() {
            state.down = down;
        }
    }

    /// From now on this session's row cannot be read.
    pub fn spoil(&self, id: &SessionId) {
        if let Ok(mut state) = self.0.lock() {
            state.spoilt.insert(id.clone());
        }
    }

    pub(super) fn state(&self) -> PortResult<MutexGuard<'_, State>> {
        let state = self.0.lock().map_err(|_| PortError::Broken("poisoned".into()))?;
        if state.down {
            return Err(PortError::Unavailable("down, as the test wants it".into()));
        }
        Ok(state)
    }
}

/// A session as a reader gets it.
pub(super) fn read(known: &Session) -> Session {
    Session { as_read: AsRead(known.due), ..known.clone() }
}

/// What is written belongs to the scope's organization.
fn at_home(scope: &Scope, organization: &OrganizationId, events: &[Event]) -> PortResult<()> {
    let home = scope.organization();
    let strays = events.iter().any(|event| event.organization != *home);
    if organization == home && !strays {
        return Ok(());
    }
    Err(PortError::Broken("something of another organization".into()))
}

/// Whether nobody has written or woken it.
pub(super) fn stands(known: &Session, expected: Guard) -> bool {
    known.version == expected.version && known.due == expected.due
}

impl State {
    /// Replaces a session if it still stands as `expected`.
    pub(super) fn replace(
        &mut self,
        session: &Session,
        expected: Guard,
        events: &[Event],
    ) -> Written {
        match self.sessions.get_mut(&session.id) {
            Some(known) if stands(known, expected) => {
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
        if self.spoilt.contains(&session.id) {
            return Err(PortError::Broken(
                "a row that cannot be read, as the test wants it".into(),
            ));
        }
        Ok(read(session))
    }

    fn visible(&self, scope: &Scope, id: &SessionId) -> Option<&Session> {
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
        receipt: Option<&Receipt>,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        at_home(scope, &session.organization, events)?;
        if state.sessions.contains_key(&session.id) {
            return Err(PortError::Broken("the session exists".into()));
        }
        if !state.file(scope, receipt, session.created_at) {
            return Ok(Written::Repeated);
        }
        state.sessions.insert(session.id.clone(), session.clone());
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }

    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>> {
        let state = self.state()?;
        state.visible(scope, id).map(|session| state.readable(session)).transpose()
    }

    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>> {
        let state = self.state()?;
        let visible =
            |s: &&Session| scope.covers(&s.organization, &s.id) && !state.spoilt.contains(&s.id);
        Ok(cut(state.sessions.values().filter(visible), page))
    }

    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Guard,
        events: &[Event],
        receipt: Option<&Receipt>,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.visible(scope, &session.id);
        if known.is_none_or(|session| !stands(session, expected)) {
            return Ok(Written::Raced);
        }
        at_home(scope, scope.organization(), events)?;
        if !state.file(scope, receipt, session.updated_at) {
            return Ok(Written::Repeated);
        }
        Ok(state.replace(session, expected, events))
    }

    async fn remains(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Remains>> {
        let state = self.state()?;
        let remains = |session: &Session| Remains {
            id: session.id.clone(),
            gateway: session.gateway.clone(),
            is_on_unknown_node: false,
            epoch: Some(session.wanted.epoch),
            sequence: session.sequence,
            mark: i64::try_from(session.version.0).unwrap_or(i64::MAX),
        };
        Ok(state.visible(scope, id).map(remains))
    }

    async fn retire_remains(
        &self,
        scope: &Scope,
        mark: i64,
        retirement: &Retirement,
        events: &[Event],
    ) -> PortResult<Written> {
        let Ok(version) = u64::try_from(mark) else { return Ok(Written::Raced) };
        self.retire(scope, Version(version), retirement, events).await
    }

    async fn retire(
        &self,
        scope: &Scope,
        expected: Version,
        retirement: &Retirement,
        events: &[Event],
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.visible(scope, &retirement.session);
        if known.is_none_or(|session| session.version != expected) {
            return Ok(Written::Raced);
        }
        at_home(scope, &retirement.organization, events)?;
        state.sessions.remove(&retirement.session);
        if !retirement.is_over() {
            state.retirements.insert(retirement.session.clone(), retirement.clone());
        }
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }
}

/// The page of these sessions.
fn cut<'a>(sessions: impl Iterator<Item = &'a Session>, page: &SessionPage) -> Vec<Session> {
    let after = |s: &&Session| {
        let key = (s.created_at, &s.id);
        page.after.as_ref().is_none_or(|after| key < (after.created_at, &after.id))
    };
    let mut found: Vec<_> = sessions.filter(|s| page.filter.admits(s)).filter(after).collect();
    found.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    found.into_iter().take(usize::try_from(page.limit).unwrap_or(usize::MAX)).map(read).collect()
}

#[async_trait]
impl Registry for Memory {
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>> {
        let state = self.state()?;
        let wanted = |s: &&Session| {
            organization.is_none_or(|organization| s.organization == *organization)
                && !state.spoilt.contains(&s.id)
        };
        Ok(cut(state.sessions.values().filter(wanted), page))
    }
}

#[async_trait]
impl NodeStore for Memory {
    async fn enlist(&self, node: &Node) -> PortResult<u64> {
        let mut state = self.state()?;
        let boot = match state.nodes.get(&node.id) {
            Some(known) if known.incarnation == node.incarnation && known.lost_at.is_none() => {
                known.boot
            }
            Some(known) => known.boot + 1,
            None => 1,
        };
        state.nodes.insert(node.id.clone(), Node { boot, lost_at: None, ..node.clone() });
        Ok(boot)
    }

    async fn beat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        now: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let known = state.nodes.get_mut(id);
        let known = known.filter(|n| n.incarnation == incarnation && n.lost_at.is_none());
        let Some(node) = known else { return Ok(false) };
        (node.held, node.beat_at) = (held, now);
        Ok(true)
    }

    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>> {
        Ok(self.state()?.nodes.get(id).cloned())
    }

    async fn list(&self) -> PortResult<Vec<Node>> {
        Ok(self.state()?.nodes.values().cloned().collect())
    }

    async fn lose(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool> {
        let mut state = self.state()?;
        let known = state.nodes.get_mut(id).filter(|node| {
            node.incarnation == incarnation && node.beat_at < silent_since && node.lost_at.is_none()
        });
        let lost = known.is_some();
        if let Some(node) = known {
            node.lost_at = Some(now);
        }
        Ok(lost)
    }
}

/// The scope's own, and not revoked.
fn lives(key: &ApiKey, scope: &Scope) -> bool {
    key.organization == *scope.organization() && key.revoked_at.is_none()
}

#[async_trait]
impl ApiKeyStore for Memory {
    async fn insert(
        &self,
        scope: &Scope,
        key: &ApiKey,
        events: &[Event],
        receipt: Option<&Receipt>,
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        at_home(scope, &key.organization, events)?;
        if !state.file(scope, receipt, key.created_at) {
            return Ok(Written::Repeated);
        }
        state.keys.insert(key.id.clone(), key.clone());
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }

    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>> {
        let state = self.state()?;
        Ok(state.keys.get(id).filter(|key| lives(key, scope)).cloned())
    }

    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>> {
        let state = self.state()?;
        let mut keys: Vec<_> = state
            .keys
            .values()
            .filter(|key| lives(key, scope))
            .filter(|k| {
                let key = (k.created_at, &k.id);
                page.after.as_ref().is_none_or(|after| key < (after.created_at, &after.id))
            })
            .cloned()
            .collect();
        keys.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        keys.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(keys)
    }

    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written> {
        let mut state = self.state()?;
        let known = state.keys.get_mut(id).filter(|key| lives(key, scope));
        let Some(key) = known else { return Ok(Written::Raced) };
        at_home(scope, scope.organization(), events)?;
        key.revoked_at = Some(now);
        state.events.extend_from_slice(events);
        Ok(Written::Done)
    }
}

#[async_trait]
impl KeyDirectory for Memory {
    async fn find(&self, shown: &ShownKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        let state = self.state()?;
        let known = state.keys.get(&shown.id);
        Ok(known.filter(|key| key.digest == shown.digest && key.is_good(now)).cloned())
    }

    async fn used(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        if let Some(key) = self.state()?.keys.get_mut(id) {
            key.last_used_at = key.last_used_at.max(Some(at));
        }
        Ok(())
    }
}

//! State of the memory store, shared by its ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    access::Scope,
    api_key::model::ApiKey,
    browser_session::{digest::BrowserSessionDigest, model::BrowserSession},
    cleanup::Cleanup,
    event::Event,
    feed::position::{FeedEvent, FeedPosition},
    gateway::node::Node,
    id::{GatewayId, KeyId, LinkId, OrganizationId, SessionId, WebhookId},
    idempotency::{IdempotencyKeyHash, IdempotencyRecord},
    link_attempt::LinkAttempt,
    orphan::model::Orphan,
    ports::{
        error::{PortError, PortResult},
        store::{
            data_keys::DataKey, sessions::SessionPage, tickets::TicketDigest, written::Written,
        },
    },
    resource_quota::Quotas,
    session::{
        model::Session,
        status::Status,
        version::{DueAsRead, ExpectedVersion},
        write::SessionUpdate,
    },
    share_link::model::ShareLink,
    testing::memory::{messaging_rows::MessagingRows, webhook_rows::WebhookRows},
    time::Timestamp,
};

/// A database in memory. Clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<MemoryState>>);

#[derive(Debug, Default)]
pub(in crate::testing) struct MemoryState {
    pub(in crate::testing) sessions: BTreeMap<SessionId, Session>,
    pub(in crate::testing) cleanups: BTreeMap<SessionId, Cleanup>,
    pub(in crate::testing) nodes: BTreeMap<GatewayId, Node>,
    pub(in crate::testing) orphans: OrphanRows,
    pub(in crate::testing) keys: BTreeMap<KeyId, ApiKey>,
    /// In the order of their positions.
    pub(in crate::testing) events: Vec<FeedEvent>,
    pub(in crate::testing) newest_position: FeedPosition,
    /// The start of each organization's feed, where retention removed events.
    pub(in crate::testing) floors: BTreeMap<OrganizationId, FeedPosition>,
    /// The position up to which retention examined events.
    pub(in crate::testing) pruned: FeedPosition,
    /// The organization whose audit events were pruned last.
    pub(in crate::testing) audited: Option<OrganizationId>,
    pub(in crate::testing) idempotency_records:
        BTreeMap<(OrganizationId, IdempotencyKeyHash), IdempotencyRecord>,
    pub(in crate::testing) share_links: BTreeMap<LinkId, ShareLink>,
    pub(in crate::testing) webhooks: BTreeMap<WebhookId, WebhookRows>,
    /// Messages of sessions, also of deleted ones until they are removed.
    pub(in crate::testing) messaging: BTreeMap<SessionId, MessagingRows>,
    pub(in crate::testing) data_keys: BTreeMap<(OrganizationId, u32), DataKey>,
    /// Sessions with unreadable rows.
    pub(in crate::testing) corrupted: BTreeSet<SessionId>,
    pub(in crate::testing) attempts: Vec<(OrganizationId, LinkAttempt)>,
    /// The spent tickets with their expiry.
    pub(in crate::testing) spent_tickets: BTreeMap<TicketDigest, Timestamp>,
    pub(in crate::testing) browser_sessions: BTreeMap<BrowserSessionDigest, BrowserSession>,
    pub(in crate::testing) quotas: Quotas,
    down: bool,
}

impl Memory {
    /// Creates an empty database.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the whole state as text. Equal texts are equal states.
    pub fn fingerprint(&self) -> String {
        self.0.lock().map_or_else(|_| String::new(), |state| format!("{state:?}"))
    }

    /// Returns all events of all organizations, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().map_or_else(
            |_| Vec::new(),
            |state| state.events.iter().map(|stored| stored.event.clone()).collect(),
        )
    }

    /// Returns all cleanups.
    pub fn cleanups(&self) -> Vec<Cleanup> {
        let all = |state: MutexGuard<'_, MemoryState>| state.cleanups.values().cloned().collect();
        self.0.lock().map_or_else(|_| Vec::new(), all)
    }

    /// Returns all idempotency records with their organizations.
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

    /// Makes every call fail as unavailable, or succeed again.
    pub fn set_down(&self, down: bool) {
        if let Ok(mut state) = self.0.lock() {
            state.down = down;
        }
    }

    /// Makes the row of a session unreadable.
    pub fn corrupt(&self, id: &SessionId) {
        if let Ok(mut state) = self.0.lock() {
            state.corrupted.insert(id.clone());
        }
    }

    /// Sets the resource limits. Without them the amounts are unlimited.
    pub fn set_quotas(&self, quotas: Quotas) {
        if let Ok(mut state) = self.0.lock() {
            state.quotas = quotas;
        }
    }

    /// Returns all link attempts with their organizations.
    pub fn link_attempts(&self) -> Vec<(OrganizationId, LinkAttempt)> {
        self.0.lock().map_or_else(|_| Vec::new(), |state| state.attempts.clone())
    }

    pub(in crate::testing) fn state(&self) -> PortResult<MutexGuard<'_, MemoryState>> {
        let state = self.0.lock().map_err(|_| PortError::Broken("poisoned".into()))?;
        if state.down {
            return Err(PortError::Unavailable("unreachable, as the test requires".into()));
        }
        Ok(state)
    }
}

impl MemoryState {
    /// Stores events.
    ///
    /// # Panics
    /// Panics if an event of the same session has the same sequence number: the databases reject
    /// the transaction.
    pub(in crate::testing) fn append(&mut self, events: &[Event]) {
        for event in events {
            let has_number = |stored: &FeedEvent| {
                let stored = &stored.event;
                (&stored.session, stored.stream(), stored.sequence)
                    == (&event.session, event.stream(), event.sequence)
            };
            let is_taken = event.session.is_some() && self.events.iter().any(has_number);
            assert!(!is_taken, "two events with the same number: {event:?}");
            let position = FeedPosition::from_number(self.newest_position.number() + 1);
            self.newest_position = position;
            let payload = event.payload.clone().without_content();
            self.events.push(FeedEvent { position, event: Event { payload, ..event.clone() } });
        }
    }
}

/// Returns a session as a read returns it.
pub(in crate::testing) fn read(known: &Session) -> Session {
    Session { due_as_read: DueAsRead(known.due), ..known.clone() }
}

/// Rejects rows and events of another organization than the scope's.
pub(in crate::testing) fn require_own_organization(
    scope: &Scope,
    organization: &OrganizationId,
    events: &[Event],
) -> PortResult<()> {
    let own = scope.organization();
    let foreign_writes = events.iter().any(|event| event.organization != *own);
    if organization == own && !foreign_writes {
        return Ok(());
    }
    Err(PortError::Broken("a row of another organization".into()))
}

/// Returns true if the row meets the condition.
pub(in crate::testing) fn is_unchanged(known: &Session, expected: ExpectedVersion) -> bool {
    known.version == expected.version && known.due == expected.due
}

impl MemoryState {
    /// Replaces a session if the row meets the condition.
    pub(in crate::testing) fn replace(&mut self, update: &SessionUpdate) -> Written {
        match self.sessions.get_mut(&update.session.id) {
            Some(known) if is_unchanged(known, update.expected) => {
                let (id, organization) = (known.id.clone(), known.organization.clone());
                let (created_by, created_at) = (known.created_by.clone(), known.created_at);
                let next = update.session.clone();
                let phone = |session: &Session| {
                    session.observed.identity.as_ref().map(|identity| identity.phone.clone())
                };
                let begins = next.observed.status == Status::Working
                    && known.observed.status != Status::Working;
                let wakes = begins || phone(known) != phone(&next);
                let row = id.clone();
                *known = Session { id, organization, created_by, created_at, ..next };
                if wakes {
                    self.wake_outbox(&row);
                }
                Written::Done
            }
            _ => Written::Raced,
        }
    }

    /// Returns a session as a read returns it. Fails if the row is unreadable.
    pub(in crate::testing) fn readable(&self, session: &Session) -> PortResult<Session> {
        if self.corrupted.contains(&session.id) {
            return Err(PortError::Broken("an unreadable row, as the test requires".into()));
        }
        Ok(read(session))
    }

    pub(in crate::testing) fn visible(&self, scope: &Scope, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id).filter(|session| scope.covers(&session.organization, id))
    }
}

/// Returns the page of these sessions.
pub(in crate::testing) fn page_of<'a>(
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

/// Returns the bytes of a session's metadata, as counted by the quota.
pub(in crate::testing) fn metadata_bytes(session: &Session) -> u64 {
    let bytes = |(key, value): (&String, &String)| {
        // As JSON: two quoted texts and a colon, without escapes.
        key.len() + value.len() + 5
    };
    let members: Vec<_> = session.settings.metadata.iter().map(bytes).collect();
    let commas = members.len().saturating_sub(1);
    count(members.iter().sum::<usize>() + commas)
}

pub(in crate::testing) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Orphans, and whether each was returned.
pub(in crate::testing) type OrphanRows = BTreeMap<(GatewayId, SessionId), (Orphan, bool)>;

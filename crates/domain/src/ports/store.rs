//! What is remembered. Caller-facing methods take a [`Scope`]; the others are for berth's own work.
//!
//! A store knows how much each organization may keep ([`Quotas`](crate::Quotas)) and counts it exactly:
//! of two writes that want the last place, one is refused, whatever routers they come from.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;

use super::{OrphanStore, PortResult, PresentedKey};
use crate::{
    ApiKey, Cleanup, Event, EventId, EventName, ExpectedVersion, GatewayId, IdempotencyKeyHash,
    IdempotencyRecord, KeyId, LinkAttempt, Node, OrganizationId, PartialSession, RateQuota,
    ResourceLimitReached, Scope, Session, SessionId, Status, Timestamp, Version,
};

/// Whether a write that is guarded happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// Yes, and it is durable.
    Done,
    /// No: the row is gone, or no longer at the expected version.
    Raced,
    /// No: a receipt is kept in this one's slot already.
    Repeated,
    /// No: the organization has, or does, as much as it may.
    Refused(Refusal),
}

/// Why a change is not written that could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room for what it adds.
    Full(ResourceLimitReached),
    /// Too much of it was done lately.
    Limited {
        /// Of what, and how much there may be.
        rate_quota: RateQuota,
        /// When there is room again.
        retry_after: Duration,
    },
}

/// A place in a list that runs from the newest to the oldest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<Id = SessionId> {
    /// When the last one shown was made.
    pub created_at: Timestamp,
    /// Its name, which breaks ties.
    pub id: Id,
}

/// Which sessions are looked for; every condition that is given holds for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Any of these; all when there are none.
    pub statuses: Vec<Status>,
    /// Exactly this label.
    pub label: Option<String>,
    /// Placed on this node.
    pub gateway: Option<GatewayId>,
    /// Linked to this number.
    pub phone: Option<String>,
}

impl SessionFilter {
    /// Whether a session is looked for.
    pub fn matches(&self, session: &Session) -> bool {
        let phone = session.observed.identity.as_ref().map(|identity| &identity.phone);
        (self.statuses.is_empty() || self.statuses.contains(&session.observed.status))
            && self
                .label
                .as_ref()
                .is_none_or(|label| session.settings.label.as_ref() == Some(label))
            && self.gateway.as_ref().is_none_or(|node| session.gateway.as_ref() == Some(node))
            && self.phone.as_ref().is_none_or(|number| phone == Some(number))
    }
}

/// Which sessions to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionPage {
    /// Those looked for.
    pub filter: SessionFilter,
    /// Strictly after this one; from the newest when `None`.
    pub after: Option<Position>,
    /// At most so many.
    pub limit: u32,
}

/// Sessions as their owners see them. The scope's organization and reach are part of every
/// statement, so that a foreign session and a missing one are the same miss.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// A new session, the events that tell of it and the receipt, at once. Never [`Written::Raced`].
    /// [`Written::Refused`] when there is no room for the session, its metadata or the receipt.
    async fn insert(
        &self,
        scope: &Scope,
        session: &Session,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// The session, if it is within the scope.
    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>>;

    /// Newest first: by `created_at`, then by id, both descending.
    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>>;

    /// Replaces the session, if it is within the scope and still stands as `expected`, and writes the
    /// events and the receipt, at once. What never changes (id, organization, who made it and when)
    /// is not written. [`Written::Refused`] when there is no room for the receipt, or for more metadata.
    async fn update(
        &self,
        scope: &Scope,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// As [`Self::update`], or as [`Self::insert`] without `expected`, for a change that begins an attempt
    /// at linking, which is counted with it. [`Written::Refused`] when too many were begun of its session,
    /// its phone or the organization; attempts of deleted sessions count as well.
    async fn write_with_link_attempt(
        &self,
        scope: &Scope,
        session: &Session,
        expected: Option<ExpectedVersion>,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
        attempt: &LinkAttempt,
    ) -> PortResult<Written>;

    /// What can be read of a session whose row cannot be read whole, if it is within the scope: enough to
    /// delete it.
    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>>;

    /// As [`delete`](Self::retire), for a session of which only [`PartialSession`] are known: if it still
    /// carries their mark.
    async fn delete_partial(
        &self,
        scope: &Scope,
        stored_version: i64,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written>;

    /// Deletes the session, if it is within the scope and still at `expected`, leaving the
    /// retirement, unless that is over, and the events in its place, at once.
    async fn delete(
        &self,
        scope: &Scope,
        expected: Version,
        cleanup: &Cleanup,
        events: &[Event],
    ) -> PortResult<Written>;
}

/// Receipts as those see them who were given one.
#[async_trait]
pub trait IdempotencyStore: Send + Sync {
    /// What is kept in this slot of the organization, unless it has expired by `now`.
    async fn find(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
        now: Timestamp,
    ) -> PortResult<Option<IdempotencyRecord>>;

    /// [`ResourceLimitReached`] when the organization has no room for one more receipt.
    async fn limit_reached(&self, scope: &Scope) -> PortResult<Option<ResourceLimitReached>>;

    /// Keeps a receipt of something that changed nothing. [`Written::Repeated`] when one is kept
    /// there already that has not expired by `now`; [`Written::Refused`] when there is no room for it.
    async fn record(
        &self,
        scope: &Scope,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> PortResult<Written>;

    /// Replaces what is kept in a slot by a later answer to the same request. Nothing happens when
    /// nothing is kept there, or the receipt of another request.
    async fn amend(&self, scope: &Scope, record: &IdempotencyRecord) -> PortResult<()>;
}

/// The gateway nodes.
#[async_trait]
pub trait NodeStore: OrphanStore {
    /// A node says hello. Stores it with `lost_at: None`; its boot number is one more than before
    /// when its incarnation is new or was given up, else what it was. Answers the boot number.
    ///
    /// Its `heartbeat_at` is stored with a new boot number only: an incarnation that says hello again and
    /// again has not shown that it hears the answers, and its lease is not renewed by that.
    ///
    /// Given up, its sessions were written off: only under a new boot number is what it shows of them
    /// newer than that, also when nothing has changed there meanwhile.
    async fn register(&self, node: &Node) -> PortResult<u64>;

    /// A node says it lives and how many sessions it holds; its lease counts from `since`, if that is
    /// later than before. `false` when this incarnation is not the one enlisted, or was given up.
    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        since: Timestamp,
    ) -> PortResult<bool>;

    /// One node.
    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>>;

    /// All nodes, by name.
    async fn list(&self) -> PortResult<Vec<Node>>;

    /// Gives a node up, if it is still this incarnation, was last heard of before `silent_since`, and
    /// was not given up before. `true` when it is given up now.
    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool>;
}

/// Which API keys to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// Strictly after this one; from the newest when `None`.
    pub after: Option<Position<KeyId>>,
    /// At most so many.
    pub limit: u32,
}

/// API keys as their owners see them.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Those of these sessions that are within the scope.
    async fn sessions_within(
        &self,
        scope: &Scope,
        sessions: &BTreeSet<SessionId>,
    ) -> PortResult<BTreeSet<SessionId>>;

    /// A new key, the event that tells of it and the receipt, at once. Never [`Written::Raced`].
    /// [`Written::Refused`] when there is no room for the key or the receipt.
    async fn insert(
        &self,
        scope: &Scope,
        key: &ApiKey,
        events: &[Event],
        record: Option<&IdempotencyRecord>,
    ) -> PortResult<Written>;

    /// One of the organization's keys, if it was not revoked.
    async fn find(&self, scope: &Scope, id: &KeyId) -> PortResult<Option<ApiKey>>;

    /// The organization's keys that were not revoked, newest first: by `created_at`, then by id, both
    /// descending.
    async fn list(&self, scope: &Scope, page: &KeyPage) -> PortResult<Vec<ApiKey>>;

    /// Revokes a key of the organization, with the events. [`Written::Raced`] when there is no such key
    /// or it was revoked before.
    async fn revoke(
        &self,
        scope: &Scope,
        id: &KeyId,
        now: Timestamp,
        events: &[Event],
    ) -> PortResult<Written>;
}

/// API keys as the door looks them up: by what is shown of one, before it is known who is asking.
#[async_trait]
pub trait KeyDirectory: Send + Sync {
    /// The key of this name and digest, if it is good at `now`. An unknown one, a wrong secret, a
    /// revoked and an expired key are one miss: none of them is found and then refused, so that they
    /// cannot be told apart by how long that takes.
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>>;

    /// Whatever was remembered of the key is not to be trusted any more. Nothing to do for a directory
    /// that remembers nothing.
    fn invalidate(&self, _: &KeyId) {}

    /// Notes that the key was used. Not on a request's path, and at most once a minute a key.
    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()>;
}

/// Sessions of all organizations, for the platform's own people alone.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// As [`SessionStore::list`], over all organizations or one.
    async fn sessions(
        &self,
        organization: Option<&OrganizationId>,
        page: &SessionPage,
    ) -> PortResult<Vec<Session>>;
}

/// Which events are looked for; every condition that is given holds for each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this session.
    pub session: Option<SessionId>,
    /// Of this kind.
    pub name: Option<EventName>,
}

impl EventFilter {
    /// Whether an event is looked for.
    pub fn matches(&self, event: &Event) -> bool {
        self.session.as_ref().is_none_or(|session| event.session.as_ref() == Some(session))
            && self.name.is_none_or(|name| event.name == name)
    }
}

/// Which events to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// Those looked for.
    pub filter: EventFilter,
    /// Strictly before this one; from the newest when `None`.
    pub before: Option<EventId>,
    /// At most so many.
    pub limit: u32,
}

/// The event log.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The organization's events after `after` (from the first when `None`), oldest first.
    async fn after(
        &self,
        scope: &Scope,
        after: Option<&EventId>,
        limit: u32,
    ) -> PortResult<Vec<Event>>;

    /// The organization's events, newest first: by id, descending.
    async fn page(&self, scope: &Scope, page: &EventPage) -> PortResult<Vec<Event>>;
}

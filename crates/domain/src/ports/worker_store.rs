//! What is to be done, in all organizations: for the worker and the nodes' reports alone.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{PortResult, Written};
use crate::{
    Cleanup, Event, ExpectedVersion, GatewayId, HeldSession, OrganizationId, Session, SessionId,
    Timestamp,
};

/// How much of what is due is taken at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What was due by then is taken.
    pub now: Timestamp,
    /// When it falls due again if its taker does not say otherwise.
    pub until: Timestamp,
    /// At most so many.
    pub limit: u32,
    /// At most so many of one organization are under way.
    pub organization_limit: u32,
    /// How many of each organization are under way already.
    pub in_flight: BTreeMap<OrganizationId, u32>,
}

impl Claim {
    /// Up to `limit` of whatever organization.
    pub fn new(now: Timestamp, until: Timestamp, limit: u32) -> Self {
        Self { now, until, limit, organization_limit: limit, in_flight: BTreeMap::new() }
    }

    /// How many of this organization may be taken.
    pub fn allowance(&self, organization: &OrganizationId) -> u32 {
        self.organization_limit
            .saturating_sub(self.in_flight.get(organization).copied().unwrap_or_default())
    }
}

/// Sessions and retirements of all organizations, for the reconciler and the nodes' reports alone.
#[async_trait]
pub trait WorkerStore: Send + Sync {
    /// Takes sessions whose `due` has come, and puts their `due` off, so that a crash of the taker brings
    /// them back then: all when there are no more than the claim's limit, earliest first; else some of
    /// each organization, by turns, earliest first within one. Two takers never get the same one. Does not
    /// change their version.
    async fn claim_sessions(&self, claim: &Claim) -> PortResult<Vec<Session>>;

    /// The same for retirements.
    async fn claim_cleanups(&self, claim: &Claim) -> PortResult<Vec<Cleanup>>;

    /// When the next session or retirement falls due.
    async fn next_due(&self) -> PortResult<Option<Timestamp>>;

    /// A session by name alone.
    async fn find(&self, id: &SessionId) -> PortResult<Option<Session>>;

    /// As [`SessionStore::update`], in whatever organization.
    async fn update(
        &self,
        session: &Session,
        expected: ExpectedVersion,
        events: &[Event],
    ) -> PortResult<Written>;

    /// Stores a session's `due` and `failures` and nothing else, if it still stands as `expected`;
    /// the version stays.
    async fn reschedule(
        &self,
        id: &SessionId,
        expected: ExpectedVersion,
        due: Option<Timestamp>,
        failures: u32,
    ) -> PortResult<Written>;

    /// Puts a retirement off: stores its `due`, `attempts`, `epoch`, `sequence` and `outcome_reported`, and the
    /// events.
    async fn postpone(&self, cleanup: &Cleanup, events: &[Event]) -> PortResult<()>;

    /// Removes a retirement and writes the events, at once. Writes nothing when it was gone already.
    async fn finish(&self, cleanup: &Cleanup, events: &[Event]) -> PortResult<()>;

    /// Makes every session and retirement of this node due now.
    async fn wake_node(&self, gateway: &GatewayId, now: Timestamp) -> PortResult<()>;

    /// Makes these sessions due now, those that exist and have no earlier due.
    async fn wake_sessions(&self, sessions: &[SessionId], now: Timestamp) -> PortResult<()>;

    /// The sessions placed on this node, with their epoch and whether anything is wanted of the
    /// node for them (desired running, or a status other than stopped).
    async fn assigned_sessions(&self, gateway: &GatewayId) -> PortResult<Vec<(HeldSession, bool)>>;

    /// The retirements whose node this is.
    async fn pending_cleanups(&self, gateway: &GatewayId) -> PortResult<Vec<SessionId>>;

    /// Makes sessions due now that wait for a node: wanted running, placed on none, and resting with no
    /// `due` or their deadline's. Up to `limit`, some of each organization, by turns, the longest waiting
    /// first within one. Answers how many there were.
    async fn wake_waiting(&self, now: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes API keys that were revoked or expired before this, up to `limit`. Answers how many there
    /// were.
    async fn sweep_keys(&self, ended_before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Blanks the codes in events that tell of codes which died before this, the oldest first. Looks at up
    /// to `limit` events and at none again; answers at how many.
    async fn blank_codes(&self, died_before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes receipts that have expired by `now`, the oldest and about `limit` of them. Answers how
    /// many there were.
    async fn sweep_idempotency_records(&self, now: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes attempts at linking that were begun before this, the oldest and about `limit` of them.
    /// Answers how many there were.
    async fn sweep_link_attempts(&self, before: Timestamp, limit: u32) -> PortResult<u32>;
}

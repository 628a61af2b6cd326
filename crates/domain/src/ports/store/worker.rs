//! Store of the worker and of node reports, across organizations.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{
    cleanup::Cleanup,
    commit::SystemCommit,
    gateway::node::HeldSession,
    id::{GatewayId, OrganizationId, SessionId},
    ports::{error::PortResult, store::written::Written},
    session::{model::Session, version::ExpectedVersion, write::SessionUpdate},
    share_link::model::ShareLink,
    time::Timestamp,
};

/// Limits of one claim of due rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Rows that are due at this time are claimed.
    pub now: Timestamp,
    /// New due time of the claimed rows.
    pub until: Timestamp,
    /// Maximum number of rows.
    pub limit: u32,
    /// Maximum number of rows per organization, including those in flight.
    pub organization_limit: u32,
    /// Number of rows in flight per organization.
    pub in_flight: BTreeMap<OrganizationId, u32>,
}

impl Claim {
    /// Creates a claim of up to `limit` rows of any organization.
    pub fn new(now: Timestamp, until: Timestamp, limit: u32) -> Self {
        Self { now, until, limit, organization_limit: limit, in_flight: BTreeMap::new() }
    }

    /// Returns the number of rows of an organization that the claim may take.
    pub fn allowance(&self, organization: &OrganizationId) -> u32 {
        self.organization_limit
            .saturating_sub(self.in_flight.get(organization).copied().unwrap_or_default())
    }
}

/// A change of a session or a cleanup by berth itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SystemWrite {
    /// Replaces a session that meets the condition. The constant fields id, organization, creator
    /// and creation time are not written.
    Update(SessionUpdate),
    /// Replaces a session as [`Self::Update`], and ends links of the session that have not ended.
    Pair {
        /// The session with its linked device.
        update: SessionUpdate,
        /// The links after their end.
        links: Vec<ShareLink>,
    },
    /// Replaces `due`, `attempts`, `epoch`, `sequence`, `linked` and `outcome_reported` of a
    /// cleanup.
    Postpone(Cleanup),
    /// Removes a cleanup.
    Finish(Cleanup),
}

impl SystemWrite {
    /// Returns the next state of the session. `None` for a change of a cleanup.
    pub fn updated(&self) -> Option<&Session> {
        match self {
            Self::Update(update) | Self::Pair { update, .. } => Some(&update.session),
            Self::Postpone(_) | Self::Finish(_) => None,
        }
    }
}

/// Sessions and cleanups of all organizations, for the worker and node reports only.
#[async_trait]
pub trait WorkerStore: Send + Sync {
    /// Claims due sessions and postpones their `due`, so that the rows become due again after a
    /// crash of the claimer. Takes all rows if they are within the limit, earliest first; otherwise
    /// rows of each organization in rotation, earliest first within one. Two claimers never get the
    /// same row. The version does not change.
    async fn claim_sessions(&self, claim: &Claim) -> PortResult<Vec<Session>>;

    /// Claims due cleanups in the same way.
    async fn claim_cleanups(&self, claim: &Claim) -> PortResult<Vec<Cleanup>>;

    /// Returns the earliest due time of a session or a cleanup.
    async fn next_due(&self) -> PortResult<Option<Timestamp>>;

    /// Returns a session by id.
    async fn find(&self, id: &SessionId) -> PortResult<Option<Session>>;

    /// Writes the change and its events in one transaction. Returns [`Written::Raced`] if the
    /// session or the cleanup is gone, or the session does not meet the condition. Quotas do not
    /// apply.
    async fn commit(&self, commit: &SystemCommit<SystemWrite>) -> PortResult<Written>;

    /// Stores `due` and `failures` of a session if the row meets `expected`. The version does not
    /// change.
    async fn reschedule(
        &self,
        id: &SessionId,
        expected: ExpectedVersion,
        due: Option<Timestamp>,
        failures: u32,
    ) -> PortResult<Written>;

    /// Makes every session and cleanup of a node due now.
    async fn wake_node(&self, gateway: &GatewayId, now: Timestamp) -> PortResult<()>;

    /// Makes existing sessions due now, unless they have an earlier due time.
    async fn wake_sessions(&self, sessions: &[SessionId], now: Timestamp) -> PortResult<()>;

    /// Returns the sessions that are assigned to a node, each with its epoch and whether the node
    /// must hold it (spec `running`, or a status other than `stopped`).
    async fn assigned_sessions(&self, gateway: &GatewayId) -> PortResult<Vec<(HeldSession, bool)>>;

    /// Returns the sessions whose cleanup needs this node.
    async fn pending_cleanups(&self, gateway: &GatewayId) -> PortResult<Vec<SessionId>>;

    /// Makes sessions due now that wait for a node: spec `running`, no node, and no `due` except
    /// the deadline. Up to `limit` rows, of each organization in rotation, longest waiting first
    /// within one. Returns the number of rows.
    async fn wake_waiting(&self, now: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes up to `limit` API keys that were revoked or expired before `ended_before`. Returns
    /// the number of rows.
    async fn sweep_keys(&self, ended_before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Blanks the codes in events whose codes expired before `died_before`, oldest first. Examines
    /// up to `limit` events, each once, and returns the number of examined events.
    async fn blank_codes(&self, died_before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes events older than `before` from the feed, in the order of their positions, and moves
    /// the floors of their organizations in the same transaction. Events that the audit log keeps
    /// stay stored below the floor. The newest event of all stays, so that its position does not
    /// come again. Examines up to `limit` events, each once, and returns the number of examined
    /// events.
    async fn prune_feed(&self, before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes up to `limit` events of one organization that are older than `before` and below the
    /// floor of its feed. Returns the number of removed events; fewer than `limit` say that the next
    /// call continues with the next organization, and `None` that it begins anew with the first.
    async fn prune_audit(&self, before: Timestamp, limit: u32) -> PortResult<Option<u32>>;

    /// Removes idempotency records that have expired at `now`, oldest first, about `limit` of them.
    /// Returns the number of rows.
    async fn sweep_idempotency_records(&self, now: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes link attempts begun before `before`, oldest first, about `limit` of them. Returns
    /// the number of rows.
    async fn sweep_link_attempts(&self, before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Returns the share links of a session that have not ended, those that expired included.
    async fn unended_links(&self, session: &Session) -> PortResult<Vec<ShareLink>>;

    /// Removes share links whose [removal time](ShareLink::removed_at) is before `before`, oldest
    /// first, about `limit` of them. Returns the number of rows.
    async fn sweep_share_links(&self, before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes records of spent tickets that expired before `before`, oldest first, about `limit`
    /// of them. Returns the number of rows.
    async fn sweep_spent_tickets(&self, before: Timestamp, limit: u32) -> PortResult<u32>;

    /// Removes browser sessions that ended before `before`, oldest first, about `limit` of them.
    /// Returns the number of rows.
    async fn sweep_browser_sessions(&self, before: Timestamp, limit: u32) -> PortResult<u32>;
}

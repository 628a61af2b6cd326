//! Delete of a session whose row cannot be read completely.

use crate::{
    access::Scope,
    caller::Actor,
    cleanup::Cleanup,
    commit::Commit,
    deadlines::Deadlines,
    event::{Event, payload::EventPayload},
    id::{GatewayId, SessionId},
    ports::environment::Environment,
    session::{unlink::LogoutOutcome, version::StoredVersion, write::SessionWrite},
    time::Timestamp,
};

/// The readable part of a session whose row cannot be read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSession {
    /// Id of the session.
    pub id: SessionId,
    /// The assigned node. `None` without a node or with an unreadable node name.
    pub gateway: Option<GatewayId>,
    /// Whether the session is assigned to a node whose name cannot be read.
    pub is_on_unknown_node: bool,
    /// Epoch of the session. `None` if unreadable.
    pub epoch: Option<u64>,
    /// Whether the router knew of a linked device.
    pub linked: bool,
    /// Highest sequence number of the session's events.
    pub sequence: u64,
    /// Version as stored, valid or not. Guards the delete.
    pub stored_version: i64,
}

/// Epoch of the cleanup if the epoch of the session cannot be read: higher than every epoch that a
/// node can know. If a node knows a higher one, the cleanup advances its epoch like any other.
const FALLBACK_EPOCH: u64 = 1 << 40;

impl PartialSession {
    /// Returns the cleanup that remains and the events of the delete.
    /// Returns the commit that deletes the session.
    pub(super) fn deletion(
        self,
        scope: &Scope,
        deadlines: &Deadlines,
        environment: &dyn Environment,
    ) -> Commit<SessionWrite> {
        let (now, version) = (environment.now(), StoredVersion(self.stored_version));
        let mut cleanup = Cleanup {
            session: self.id,
            organization: scope.organization().clone(),
            gateway: self.gateway,
            epoch: self.epoch.map_or(FALLBACK_EPOCH, |epoch| epoch + 1),
            linked: self.linked,
            requested_by: scope.actor().clone(),
            requested_at: now,
            deadline: now.plus(deadlines.cleanup),
            due: now,
            attempts: 0,
            sequence: self.sequence + 1,
            outcome_reported: false,
        };
        let mut events = vec![deletion_event(&cleanup, scope.actor(), now, environment)];
        if cleanup.gateway.is_none() {
            // Without the node, a linked device cannot be excluded.
            let outcome = if self.is_on_unknown_node {
                LogoutOutcome::Unconfirmed
            } else {
                LogoutOutcome::NotLinked
            };
            events.extend(cleanup.report_outcome(outcome, environment));
        }
        Commit { change: SessionWrite::Delete(cleanup, version), events, idempotency: None }
    }
}

fn deletion_event(
    cleanup: &Cleanup,
    actor: &Actor,
    now: Timestamp,
    environment: &dyn Environment,
) -> Event {
    let payload = EventPayload::SessionDeleted {};
    let event = Event::of_organization(payload, &cleanup.organization, actor, environment);
    let session = Some(cleanup.session.clone());
    Event { session, sequence: cleanup.sequence, at: now, ..event }
}

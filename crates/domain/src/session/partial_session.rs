//! Deletes a session whose row cannot be read whole: its owner can be rid of it all the same.

use crate::{
    Actor, Cleanup, Deadlines, Event, EventName, GatewayId, LogoutOutcome, NewEvent, Scope,
    SessionId, Timestamp, ports::Environment,
};

/// What is known of a session whose row cannot be read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSession {
    /// The session.
    pub id: SessionId,
    /// The node it lives on; `None` when it lives on none, or the name cannot be read.
    pub gateway: Option<GatewayId>,
    /// Whether it lives on a node whose name cannot be read.
    pub is_on_unknown_node: bool,
    /// Its epoch; `None` when that cannot be read.
    pub epoch: Option<u64>,
    /// Whether a device was linked as far as the router knew.
    pub linked: bool,
    /// The highest sequence number of its events.
    pub sequence: u64,
    /// The version as the store has it, readable or not: guards the deletion.
    pub stored_version: i64,
}

/// The epoch of a retirement whose session's epoch cannot be read: newer than a node can have been told.
/// A node that was told a newer one is outrun like any other.
const FALLBACK_EPOCH: u64 = 1 << 40;

impl PartialSession {
    /// The retirement that is left of the session, and the events that tell of the deletion.
    pub(super) fn delete(
        self,
        scope: &Scope,
        deadlines: &Deadlines,
        environment: &dyn Environment,
    ) -> (Cleanup, Vec<Event>) {
        let now = environment.now();
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
            // Which node would have to be asked is not known: nobody can say that nothing is linked.
            let outcome = if self.is_on_unknown_node {
                LogoutOutcome::Unconfirmed
            } else {
                LogoutOutcome::NotLinked
            };
            events.extend(cleanup.report_outcome(outcome, environment));
        }
        (cleanup, events)
    }
}

fn deletion_event(
    cleanup: &Cleanup,
    actor: &Actor,
    now: Timestamp,
    environment: &dyn Environment,
) -> Event {
    let event = NewEvent::new(EventName::SessionDeleted, Vec::new());
    let event = event.of_organization(&cleanup.organization, actor, environment);
    let session = Some(cleanup.session.clone());
    Event { session, sequence: cleanup.sequence, at: now, ..event }
}

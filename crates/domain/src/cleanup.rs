//! Cleanups: the work that remains after the delete of a session.
//!
//! Decision: ADR 0006.

use crate::{
    caller::Actor,
    event::{Event, payload::EventPayload},
    id::{EventId, GatewayId, OrganizationId, SessionId},
    ports::environment::Environment,
    session::unlink::LogoutOutcome,
    time::Timestamp,
};

/// The cleanup of a deleted session: unlink the device, then wipe the device keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// The deleted session.
    pub session: SessionId,
    /// The organization that owned the session.
    pub organization: OrganizationId,
    /// The node that held the session. `None` if no node ever held it.
    pub gateway: Option<GatewayId>,
    /// Higher than every epoch that the node knows, so that no late command can restore the
    /// session.
    pub epoch: u64,
    /// Whether the router knew of a linked device.
    pub linked: bool,
    /// The actor that deleted the session.
    pub requested_by: Actor,
    /// Time of the delete.
    pub requested_at: Timestamp,
    /// Time after which the keys are wiped without a confirmation by WhatsApp.
    pub deadline: Timestamp,
    /// Time of the next attempt.
    pub due: Timestamp,
    /// Number of attempts so far.
    pub attempts: u32,
    /// Sequence number of the newest event of the session.
    pub sequence: u64,
    /// Whether the event with the outcome is written. Afterwards only the wipe of the keys remains.
    pub outcome_reported: bool,
}

impl Cleanup {
    /// Returns true if no work is left: the outcome is reported and no node held the session.
    pub fn is_complete(&self) -> bool {
        self.outcome_reported && self.gateway.is_none()
    }

    /// Returns the event of the delete.
    pub(crate) fn deletion_event(&self, environment: &dyn Environment) -> Event {
        Event {
            id: EventId::from_bits(environment.ulid()),
            organization: self.organization.clone(),
            session: Some(self.session.clone()),
            sequence: self.sequence,
            at: self.requested_at,
            actor: self.requested_by.clone(),
            payload: EventPayload::SessionDeleted {},
        }
    }

    /// Returns the event that reports the outcome of the unlink, the first time. Returns no event
    /// afterwards.
    pub fn report_outcome(
        &mut self,
        outcome: LogoutOutcome,
        environment: &dyn Environment,
    ) -> Vec<Event> {
        if std::mem::replace(&mut self.outcome_reported, true) {
            return Vec::new();
        }
        self.sequence += 1;
        vec![Event {
            id: EventId::from_bits(environment.ulid()),
            organization: self.organization.clone(),
            session: Some(self.session.clone()),
            sequence: self.sequence,
            at: environment.now(),
            actor: Actor::System,
            payload: EventPayload::SessionRetired { unlink: outcome },
        }]
    }
}

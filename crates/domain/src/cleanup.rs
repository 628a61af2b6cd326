//! What remains of a deleted session until WhatsApp and the node have let go of it.
//!
//! Decision: ADR 0006.

use crate::{
    Actor, Event, EventId, EventName, GatewayId, LogoutOutcome, OrganizationId, SessionId,
    Timestamp, ports::Environment,
};

/// A deleted session's device that is still to be unlinked, and its keys still to be wiped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleanup {
    /// Which session it was.
    pub session: SessionId,
    /// Whose it was.
    pub organization: OrganizationId,
    /// The node that held it; `None` when none ever did.
    pub gateway: Option<GatewayId>,
    /// Newer than anything the node was told, so that nothing under way can bring it back.
    pub epoch: u64,
    /// Whether a device was linked as far as the router knew.
    pub linked: bool,
    /// Who deleted it.
    pub requested_by: Actor,
    /// When.
    pub requested_at: Timestamp,
    /// After this its keys are wiped without WhatsApp's word.
    pub deadline: Timestamp,
    /// When to try next.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// The sequence number of the session's newest event.
    pub sequence: u64,
    /// The outcome, once it is told; what then remains is wiping the keys.
    pub outcome_reported: bool,
}

impl Cleanup {
    /// Whether nothing is left to do: no node ever held it, and that is told.
    pub fn is_complete(&self) -> bool {
        self.outcome_reported && self.gateway.is_none()
    }

    /// Tells how the unlink ended; nothing when that was told before.
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
            name: EventName::SessionRetired,
            organization: self.organization.clone(),
            session: Some(self.session.clone()),
            sequence: self.sequence,
            at: environment.now(),
            actor: Actor::System,
            payload: vec![("unlink".into(), outcome.as_str().into())],
        }]
    }
}

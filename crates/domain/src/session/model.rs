//! The session as the database stores it.

use crate::{
    id::{GatewayId, OrganizationId, SessionId, UserId},
    ports::environment::Environment,
    session::{
        observed::Observed,
        settings::Settings,
        spec::{Declaration, Desired, Spec},
        status::{ReasonCode, Status},
        version::{DueAsRead, ExpectedVersion, Version},
    },
    time::Timestamp,
};

/// One WhatsApp number of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub id: SessionId,
    /// Whose it is. Never changes.
    pub organization: OrganizationId,
    /// The person who made it; `None` when a key or an operator did.
    pub created_by: Option<UserId>,
    /// What the owner sets.
    pub settings: Settings,
    /// Set apart for the platform's own use.
    pub is_admin_session: bool,
    /// The node it lives on; `None` until it first needs one.
    pub gateway: Option<GatewayId>,
    /// What should be.
    pub spec: Spec,
    /// What its node last reported.
    pub observed: Observed,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything the owner can see last changed.
    pub updated_at: Timestamp,
    /// Grows with every change; the guard of every write.
    pub version: Version,
    /// The sequence number of its newest event.
    pub sequence: u64,
    /// When the reconciler should look at it; `None` while there is nothing to do.
    pub due: Option<Timestamp>,
    /// The same as it was read, whatever becomes of it here: see [`ExpectedVersion`].
    pub due_as_read: DueAsRead,
    /// How often in a row the reconciler has failed to reach its node.
    pub failures: u32,
    /// Whether the status shown is not the stored one, because the lease of the session's node is
    /// over. Set by reads alone and never stored.
    pub lease_over: bool,
}

impl Session {
    /// A session nobody has seen anything of yet.
    pub fn new(
        organization: OrganizationId,
        created_by: Option<UserId>,
        settings: Settings,
        environment: &dyn Environment,
    ) -> Self {
        let now = environment.now();
        Self {
            id: SessionId::from_bits(environment.ulid()),
            organization,
            created_by,
            settings,
            is_admin_session: false,
            gateway: None,
            spec: Spec {
                desired: Desired::Stopped,
                pairing: None,
                unlink: None,
                restarts: 0,
                epoch: 0,
            },
            observed: Observed::initial(),
            created_at: now,
            updated_at: now,
            version: Version(0),
            sequence: 0,
            due: None,
            due_as_read: DueAsRead(None),
            failures: 0,
            lease_over: false,
        }
    }

    /// What its node is to be told.
    pub fn declaration(&self) -> Declaration {
        Declaration {
            epoch: self.spec.epoch,
            running: self.spec.desired == Desired::Running,
            restarts: self.spec.restarts,
            pairing: self.spec.pairing.clone(),
            linked: self.is_paired(),
            group: None,
        }
    }

    /// Whether a device is linked, as far as is known.
    pub fn is_paired(&self) -> bool {
        self.observed.identity.is_some()
    }

    /// Whether it is certain that no device is linked and that nothing is open which could link one:
    /// no node holds the session, or its node has closed it under the newest epoch and said so.
    pub fn is_certainly_unlinked(&self) -> bool {
        let closed = matches!(self.observed.status, Status::Stopped | Status::Failed);
        let is_confirmed_closed =
            self.observed.epoch == self.spec.epoch && closed && !self.has_unavailable_keys();
        !self.is_paired()
            && (self.gateway.is_none() || (is_confirmed_closed && self.spec.pairing.is_none()))
    }

    /// Whether its node cannot tell if a device is linked.
    pub fn has_unavailable_keys(&self) -> bool {
        let code = self.observed.reason.as_ref().map(|reason| reason.code);
        code == Some(ReasonCode::KeysUnavailable)
    }
}

impl Session {
    /// What a write is guarded by that begins from here.
    pub fn expected_version(&self) -> ExpectedVersion {
        ExpectedVersion { version: self.version, due: self.due_as_read.0 }
    }
}

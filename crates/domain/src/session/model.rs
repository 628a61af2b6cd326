//! The session as stores keep it.

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
    /// Id of the session.
    pub id: SessionId,
    /// Organization that owns the session. Never changes.
    pub organization: OrganizationId,
    /// The person who created the session. `None` if an API key or an operator created it.
    pub created_by: Option<UserId>,
    /// Settings of the owner.
    pub settings: Settings,
    /// Reserved for the platform's own use.
    pub is_admin_session: bool,
    /// The node that the session is assigned to. `None` before the first assignment.
    pub gateway: Option<GatewayId>,
    /// State that the owner asked for.
    pub spec: Spec,
    /// State that the node reported last.
    pub observed: Observed,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change that the owner can see.
    pub updated_at: Timestamp,
    /// Number of the change. Every guarded write checks it.
    pub version: Version,
    /// Sequence number of the newest event.
    pub sequence: u64,
    /// Time at which the reconciler must process the session. `None` if no step is pending.
    pub due: Option<Timestamp>,
    /// Value of `due` when the row was read, independent of later changes in memory. See
    /// [`ExpectedVersion`].
    pub due_as_read: DueAsRead,
    /// Number of consecutive failures of the reconciler to reach the node.
    pub failures: u32,
    /// Whether a read replaced the stored status because the lease of the node is over. Never
    /// stored.
    pub lease_over: bool,
}

impl Session {
    /// Creates a session that no node has reported about.
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

    /// Returns the declaration for the node.
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

    /// Returns true if the last known state has a linked device.
    pub fn is_paired(&self) -> bool {
        self.observed.identity.is_some()
    }

    /// Returns true if certainly no device is linked and no open connection can link one: no node
    /// holds the session, or the node has confirmed the newest epoch with a closed connection.
    pub fn is_certainly_unlinked(&self) -> bool {
        let closed = matches!(self.observed.status, Status::Stopped | Status::Failed);
        let is_confirmed_closed =
            self.observed.epoch == self.spec.epoch && closed && !self.has_unavailable_keys();
        !self.is_paired()
            && (self.gateway.is_none() || (is_confirmed_closed && self.spec.pairing.is_none()))
    }

    /// Returns true if the node cannot read the device keys.
    pub fn has_unavailable_keys(&self) -> bool {
        let code = self.observed.reason.as_ref().map(|reason| reason.code);
        code == Some(ReasonCode::KeysUnavailable)
    }
}

impl Session {
    /// Returns the condition of a write that is based on this state.
    pub fn expected_version(&self) -> ExpectedVersion {
        ExpectedVersion { version: self.version, due: self.due_as_read.0 }
    }
}

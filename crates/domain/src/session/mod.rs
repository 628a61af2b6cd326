//! A session: one attached, or to-be-attached, WhatsApp number.
//!
//! What is wanted of it and what was seen of it are two things. Callers change what is wanted,
//! gateways' reports change what was seen, and only the [reconciler](crate::reconcile) compares them.

mod change;
mod deletion;
mod lifecycle;
mod observe;
mod partial_session;
mod service;
mod settings;
mod system_transitions;

use std::fmt;

pub use change::{Change, DueAsRead, ExpectedVersion};
pub use partial_session::PartialSession;
pub use service::{SessionIdentity, SessionPorts, Sessions};
pub use settings::{
    MAX_LABEL, MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_RATE, Settings,
    SettingsPatch,
};

use crate::{
    Attempt, Declaration, GatewayId, Identity, OrganizationId, PairingSpec, SessionId, Timestamp,
    UserId, ports::Environment,
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

/// Counts the changes of a session, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Connected or not, as the owner wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Connected; while unlinked, being paired.
    Running,
    /// Closed.
    Stopped,
}

impl Desired {
    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }

    /// `None` when there is no such thing to want.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Stopped].into_iter().find(|d| d.as_str() == text)
    }
}

/// What should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Connected or not.
    pub desired: Desired,
    /// The pairing attempt the owner asked for, until it links or ends.
    pub pairing: Option<PairingSpec>,
    /// An unlink that WhatsApp has not confirmed yet.
    pub unlink: Option<UnlinkRequest>,
    /// How often a reconnect was asked for.
    pub restarts: u64,
    /// Grows with every change of what is wanted and with every move to another node; the node
    /// refuses anything older, and reports that carry an older one are not believed.
    pub epoch: u64,
}

/// The owner logged out; the device is to be unlinked on WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkRequest {
    /// When it was asked for.
    pub since: Timestamp,
    /// After this the keys are wiped without WhatsApp's word.
    pub deadline: Timestamp,
}

/// What a session's connection does, or did when last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Closed, on purpose or never opened.
    Stopped,
    /// On its way. Ends by a deadline.
    Starting,
    /// Waiting for a phone. Ends by a deadline.
    ScanQrCode,
    /// Logged in.
    Working,
    /// Closed, or retrying, against the wish; the reason says why.
    Failed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Stopped, Self::Starting, Self::ScanQrCode, Self::Working, Self::Failed];

    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::ScanQrCode => "scan_qr_code",
            Self::Working => "working",
            Self::Failed => "failed",
        }
    }

    /// `None` when there is no such status.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Why a status is what it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// It did not come up in time.
    StartTimeout,
    /// Nobody scanned or typed in time.
    PairingExpired,
    /// WhatsApp refused the link, or the engine cannot carry it out for this kind of account.
    PairingFailed,
    /// WhatsApp asks this account for a passkey during linking.
    PasskeyRequired,
    /// The owner logged out.
    LoggedOutByUser,
    /// The device was unlinked on the phone.
    LoggedOutByPhone,
    /// The same device connected elsewhere.
    Replaced,
    /// WhatsApp banned the number for a while.
    Banned,
    /// WhatsApp wants a newer client.
    ClientOutdated,
    /// The node that holds it is not heard of.
    GatewayLost,
    /// WhatsApp cannot be reached.
    ConnectFailed,
    /// The session's task on the node died.
    Crashed,
    /// The node cannot read the session's keys, so that nobody knows whether a device is linked.
    KeysUnavailable,
    /// The node links as many devices at once as it may; the session has its turn later.
    WaitingToLink,
}

impl ReasonCode {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::StartTimeout,
        Self::PairingExpired,
        Self::PairingFailed,
        Self::PasskeyRequired,
        Self::LoggedOutByUser,
        Self::LoggedOutByPhone,
        Self::Replaced,
        Self::Banned,
        Self::ClientOutdated,
        Self::GatewayLost,
        Self::ConnectFailed,
        Self::Crashed,
        Self::KeysUnavailable,
        Self::WaitingToLink,
    ];

    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartTimeout => "start_timeout",
            Self::PairingExpired => "pairing_expired",
            Self::PairingFailed => "pairing_failed",
            Self::PasskeyRequired => "passkey_required",
            Self::LoggedOutByUser => "logged_out_by_user",
            Self::LoggedOutByPhone => "logged_out_by_phone",
            Self::Replaced => "replaced",
            Self::Banned => "banned",
            Self::ClientOutdated => "client_outdated",
            Self::GatewayLost => "gateway_lost",
            Self::ConnectFailed => "connect_failed",
            Self::Crashed => "crashed",
            Self::KeysUnavailable => "keys_unavailable",
            Self::WaitingToLink => "waiting_to_link",
        }
    }

    /// `None` when there is no such reason.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Why a status is what it is, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReason {
    /// For programs.
    pub code: ReasonCode,
    /// For people.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is tried again without being asked, if it is.
    pub retry_at: Option<Timestamp>,
}

/// What its node last reported, or what silence means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What the connection does.
    pub status: Status,
    /// Why, when it is not simply what was wanted.
    pub reason: Option<StatusReason>,
    /// Who is linked. While this is `Some`, the session is *paired*.
    pub identity: Option<Identity>,
    /// The codes of the pairing attempt under way.
    pub pairing: Option<Attempt>,
    /// When a transitional status ends if nothing is heard.
    pub deadline: Option<Timestamp>,
    /// When it last became `working`.
    pub last_connected_at: Option<Timestamp>,
    /// The epoch the node had been told when it reported this; 0 before its first word.
    pub epoch: u64,
    /// The boot of the node that reported this.
    pub generation: u64,
    /// Orders reports within a boot.
    pub seq: u64,
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
            observed: Observed::nothing(),
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

impl Observed {
    /// Before a node's first word.
    pub fn nothing() -> Self {
        Self {
            status: Status::Stopped,
            reason: None,
            identity: None,
            pairing: None,
            deadline: None,
            last_connected_at: None,
            epoch: 0,
            generation: 0,
            seq: 0,
        }
    }
}

//! The spec of a session: the state that its owner asked for.

use crate::session::{pairing::PairingSpec, unlink::UnlinkRequest};

/// The connection state that the owner asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Desired {
    /// Connected. While no device is linked: pairing.
    Running,
    /// Disconnected.
    Stopped,
}

impl Desired {
    /// Every state.
    pub const ALL: [Self; 2] = [Self::Running, Self::Stopped];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }

    /// Returns the value with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.as_str() == text)
    }
}

/// A request of an owner that changes the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedAction {
    /// Begin a pairing attempt, or request a pairing code.
    Pair,
    /// Connect.
    Start,
    /// Disconnect, or end the pairing attempt.
    Stop,
    /// Close the connection and open a new one.
    Restart,
    /// Unlink the device.
    Logout,
}

impl RequestedAction {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Pair, Self::Start, Self::Stop, Self::Restart, Self::Logout];

    /// Returns the stable name, as stored in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Logout => "logout",
        }
    }

    /// Returns the action with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// The state that the owner asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Connected or disconnected.
    pub desired: Desired,
    /// The requested pairing attempt, until it links or ends.
    pub pairing: Option<PairingSpec>,
    /// An unlink that WhatsApp has not confirmed.
    pub unlink: Option<UnlinkRequest>,
    /// Number of requested reconnects.
    pub restarts: u64,
    /// Number of the spec. Increases with every change of the spec and every assignment to a node.
    /// Nodes reject commands with an older epoch, and routers ignore reports with an older epoch.
    pub epoch: u64,
}

/// The spec of a session as a node receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// See [`Spec::epoch`].
    pub epoch: u64,
    /// Connected or pairing, as opposed to disconnected.
    pub running: bool,
    /// Number of requested reconnects.
    pub restarts: u64,
    /// The requested pairing attempt while no device is linked.
    pub pairing: Option<PairingSpec>,
    /// Whether the router knows of a linked device. A node without keys of such a session has lost
    /// them, and must not report that no device is linked.
    pub linked: bool,
    /// Opaque tag that the sessions of one organization share. Nodes share scarce resources fairly
    /// among groups. `None` is a group of its own.
    pub group: Option<String>,
}

//! The spec of a session: the state that its owner asked for.

use crate::session::{pairing::PairingSpec, unlink::UnlinkRequest};

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

/// What a node is told about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// See [`Spec::epoch`](crate::session::spec::Spec::epoch).
    pub epoch: u64,
    /// Connected or pairing, as opposed to closed.
    pub running: bool,
    /// How often a reconnect was asked for.
    pub restarts: u64,
    /// The pairing attempt wanted while unlinked.
    pub pairing: Option<PairingSpec>,
    /// Whether a device is linked as far as the router knows: a node that has no keys of such a
    /// session has lost them, and must not say that nothing is linked.
    pub linked: bool,
    /// An opaque tag that the sessions of one organization share: nodes share what is scarce fairly
    /// between groups. `None` is a group of its own.
    pub group: Option<String>,
}

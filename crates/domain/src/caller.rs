//! Who is asking: an actor, perhaps an organization, and what they are able to do in it.

use std::collections::BTreeSet;

use crate::{KeyId, OrganizationId, SessionId, UserId};

/// Something a caller may be able to do in its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// See messages and chats.
    Read,
    /// Send messages.
    Send,
    /// Attach, configure and remove sessions, keys and webhooks.
    Manage,
}

impl Capability {
    /// Every capability, weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];

    /// The name the API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
        }
    }

    /// `None` when there is no such capability.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }
}

/// A set of capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// What a member of an organization with this role can do: `owner` and `admin` everything,
    /// `member` read and send, any other role nothing.
    pub fn of_role(role: &str) -> Self {
        match role {
            "owner" | "admin" => Capability::ALL.into_iter().collect(),
            "member" => [Capability::Read, Capability::Send].into_iter().collect(),
            _ => Self::default(),
        }
    }

    /// Whether `capability` is among them.
    pub fn contains(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// Whether all of `others` are among them.
    pub fn contains_all(&self, others: &Self) -> bool {
        others.0.is_subset(&self.0)
    }

    /// Weakest first.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        self.0.iter().copied()
    }

    /// No capability at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Who did something, as events and the audit trail name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person with a login token; `None` when the token named nobody.
    User(Option<UserId>),
    /// An API key.
    Key(KeyId),
    /// Somebody at the operator's command line.
    Operator,
    /// berth itself: a deadline, a report from WhatsApp, a retry.
    System,
}

impl Actor {
    /// The person, when it is one.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => user.as_ref(),
            Self::Key(_) | Self::Operator | Self::System => None,
        }
    }
}

/// Which sessions of its organization a caller can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them, also those still to come.
    Everything,
    /// These alone; all others are not found.
    Only(BTreeSet<SessionId>),
}

impl Reach {
    /// Whether `session` is within reach.
    pub fn covers(&self, session: &SessionId) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(sessions) => sessions.contains(session),
        }
    }
}

/// An authenticated caller. What it may do is asked by [`Caller::may`](crate::access).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub actor: Actor,
    /// Where it belongs; without one, everything that belongs to an organization is forbidden.
    pub organization: Option<OrganizationId>,
    /// What it can do there.
    pub capabilities: Capabilities,
    /// What it can reach there.
    pub reach: Reach,
    /// Opens the operator's endpoints, and nothing else.
    pub platform_admin: bool,
}

impl Caller {
    /// Somebody at the operator's command line, acting for one organization.
    pub fn operator(organization: OrganizationId) -> Self {
        Self {
            actor: Actor::Operator,
            organization: Some(organization),
            capabilities: Capability::ALL.into_iter().collect(),
            reach: Reach::Everything,
            platform_admin: false,
        }
    }
}

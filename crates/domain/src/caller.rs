//! Callers: actor, organization, capabilities and reach.

use std::collections::BTreeSet;

use crate::{
    browser_session::digest::BrowserSessionDigest,
    id::{KeyId, LinkId, OrganizationId, SessionId, UserId},
    time::Timestamp,
};

/// A right of a caller within its organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Read messages and chats.
    Read,
    /// Send messages.
    Send,
    /// Create, configure and delete sessions, API keys and webhooks.
    Manage,
}

impl Capability {
    /// Every capability, weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Send => "send",
            Self::Manage => "manage",
        }
    }

    /// Returns the capability with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }
}

/// A set of capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// Returns the capabilities of an organization role: `owner` and `admin` have all, `member` has
    /// read and send, any other role has none.
    pub fn of_role(role: &str) -> Self {
        match role {
            "owner" | "admin" => Capability::ALL.into_iter().collect(),
            "member" => [Capability::Read, Capability::Send].into_iter().collect(),
            _ => Self::default(),
        }
    }

    /// Returns true if the set contains `capability`.
    pub fn contains(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// Returns true if the set contains every capability of `others`.
    pub fn contains_all(&self, others: &Self) -> bool {
        others.0.is_subset(&self.0)
    }

    /// Iterates over the capabilities, weakest first.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        self.0.iter().copied()
    }

    /// Returns true if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// The person, key or system part that causes a change. Events and the audit log record it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person with a login token. `None` if the token has no subject.
    User(Option<UserId>),
    /// An API key.
    Key(KeyId),
    /// A person who holds a share link.
    Link(LinkId),
    /// An operator at the command line.
    Operator,
    /// berth itself: a deadline, a report of a node, a retry.
    System,
}

impl Actor {
    /// Returns the user, if the actor is a user with a known id.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(user) => user.as_ref(),
            Self::Key(_) | Self::Link(_) | Self::Operator | Self::System => None,
        }
    }
}

/// The sessions of its organization that a caller can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All sessions, including future ones.
    Everything,
    /// The named sessions only. All other sessions are not found.
    Only(BTreeSet<SessionId>),
}

impl Reach {
    /// Returns true if `session` is within reach.
    pub fn covers(&self, session: &SessionId) -> bool {
        match self {
            Self::Everything => true,
            Self::Only(sessions) => sessions.contains(session),
        }
    }
}

/// An authenticated caller. [`Caller::may`](crate::access) decides about its rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The actor that events record.
    pub actor: Actor,
    /// The organization of the caller. Without one, every operation within an organization is
    /// forbidden.
    pub organization: Option<OrganizationId>,
    /// Capabilities within the organization.
    pub capabilities: Capabilities,
    /// Sessions within reach.
    pub reach: Reach,
    /// Whether the caller has the platform role. The role allows the operations of operators only.
    pub platform_admin: bool,
    /// The time at which the credential expires. `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// The browser session whose cookie the request carries. `None` for every other credential.
    pub browser_session: Option<BrowserSessionDigest>,
}

impl Caller {
    /// Creates the caller of an operator at the command line who acts for one organization.
    pub fn operator(organization: OrganizationId) -> Self {
        Self {
            actor: Actor::Operator,
            organization: Some(organization),
            capabilities: Capability::ALL.into_iter().collect(),
            reach: Reach::Everything,
            platform_admin: false,
            expires_at: None,
            browser_session: None,
        }
    }
}

//! An API key without its secret.

use std::collections::BTreeSet;

use crate::{
    caller::{Actor, Caller, Capabilities, Reach},
    id::{KeyId, OrganizationId, SessionId},
    time::Timestamp,
};

/// An API key of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Public id of the key.
    pub id: KeyId,
    /// Organization that owns the key.
    pub organization: OrganizationId,
    /// Name for people.
    pub name: String,
    /// Capabilities of the key. Never change.
    pub capabilities: Capabilities,
    /// Sessions within the reach of the key. `None` is all sessions.
    pub sessions: Option<BTreeSet<SessionId>>,
    /// SHA-256 of the secret.
    pub digest: [u8; 32],
    /// Actor that created the key.
    pub created_by: Actor,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time at which the key expires. `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Time of the last use, with a resolution of one minute. `None` before the first use.
    pub last_used_at: Option<Timestamp>,
    /// Time of the revocation. `None` if the key is not revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Returns true if the key is neither revoked nor expired.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }

    /// Returns the sessions that a holder of the key can reach.
    pub fn reach(&self) -> Reach {
        self.sessions.clone().map_or(Reach::Everything, Reach::Only)
    }

    /// Returns the caller that holds the key. No key has the platform role.
    pub fn into_caller(self) -> Caller {
        Caller {
            reach: self.reach(),
            actor: Actor::Key(self.id),
            organization: Some(self.organization),
            capabilities: self.capabilities,
            platform_admin: false,
            expires_at: self.expires_at,
            browser_session: None,
        }
    }
}

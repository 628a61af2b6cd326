//! An API key without its secret.

use std::collections::BTreeSet;

use crate::{
    caller::{Actor, Capabilities, Reach},
    id::{KeyId, OrganizationId, SessionId},
    time::Timestamp,
};

/// A key of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public name.
    pub id: KeyId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What it can do. Never changes.
    pub capabilities: Capabilities,
    /// The sessions beyond which everything is not found; `None` for all of them.
    pub sessions: Option<BTreeSet<SessionId>>,
    /// SHA-256 of the secret.
    pub digest: [u8; 32],
    /// Who made it.
    pub created_by: Actor,
    /// When.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Neither revoked nor expired.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|at| now < at)
    }

    /// Which sessions its holder can reach.
    pub fn reach(&self) -> Reach {
        self.sessions.clone().map_or(Reach::Everything, Reach::Only)
    }
}

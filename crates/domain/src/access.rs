//! The isolation rule. Only this file creates a [`Scope`], and answers a caller with
//! [`Error::Forbidden`] or [`Error::NotFound`].
//!
//! A lookup requires a scope, and a scope requires a capability. Every lookup for a caller takes a
//! scope and returns an `Option`. A row that is missing, deleted, owned by another organization or
//! out of the reach of a key is *not found*: one code path, one answer. *Forbidden* depends on the
//! caller alone and is decided before every lookup, so that the answer reveals no id.
//!
//! Decision: ADR 0013.

use crate::{
    caller::{Actor, Caller, Capabilities, Capability, Reach},
    error::{Error, Result},
    id::{LinkId, OrganizationId, SessionId},
};

/// An organization and a reach, of a caller that has the capability. Every read and write for a
/// caller takes one.
///
/// Only [`Caller::may`] creates a scope:
///
/// ```compile_fail
/// let scope = domain::Scope { };
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    organization: OrganizationId,
    reach: Reach,
    actor: Actor,
}

impl Caller {
    /// Returns the scope of a caller that has `capability` in an organization.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the caller belongs to no organization or lacks the capability.
    pub fn may(&self, capability: Capability) -> Result<Scope> {
        match &self.organization {
            Some(organization) if self.capabilities.contains(capability) => Ok(Scope {
                organization: organization.clone(),
                reach: self.reach.clone(),
                actor: self.actor.clone(),
            }),
            _ => Err(Error::Forbidden),
        }
    }
}

impl Caller {
    /// Returns the scope of a caller that has `capability` in the whole organization, not only for
    /// named sessions.
    ///
    /// # Errors
    /// [`Error::Forbidden`] otherwise.
    pub fn may_throughout(&self, capability: Capability) -> Result<Scope> {
        let scope = self.may(capability)?;
        scope.may_create()?;
        Ok(scope)
    }

    /// Returns the scope in which the caller may create an API key with `capabilities`. A caller
    /// cannot grant a capability that the caller lacks.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`], for a caller that is confined to named
    /// sessions, and for a key with more capabilities than the caller.
    pub fn may_grant(&self, capabilities: &Capabilities) -> Result<Scope> {
        let scope = self.may_throughout(Capability::Manage)?;
        if self.capabilities.contains_all(capabilities) { Ok(scope) } else { Err(Error::Forbidden) }
    }
}

impl Caller {
    /// Returns the scope of a caller that has any capability in an organization. What the caller may
    /// see in the scope depends on the capability.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without an organization or without a capability.
    pub fn may_any(&self) -> Result<Scope> {
        self.may(self.capabilities.iter().next().ok_or(Error::Forbidden)?)
    }
}

impl Caller {
    /// Returns the scope of the holder of a share link, and the link. The scope is one session. The
    /// holder has no capability, so that no other function gives the holder a scope.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for every caller except the holder of a link.
    pub fn may_link(&self) -> Result<(Scope, LinkId)> {
        match (&self.actor, &self.organization, &self.reach) {
            (Actor::Link(link), Some(organization), Reach::Only(only)) if only.len() == 1 => {
                let (organization, reach) = (organization.clone(), self.reach.clone());
                Ok((Scope { organization, reach, actor: self.actor.clone() }, link.clone()))
            }
            _ => Err(Error::Forbidden),
        }
    }
}

impl Caller {
    /// Allows reads across organizations. The right gives no scope in any organization. Only a user
    /// can have it: an API key belongs to one organization.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for every caller except a user with the platform role.
    pub fn may_operate(&self) -> Result<()> {
        match self.actor {
            Actor::User(_) if self.platform_admin => Ok(()),
            _ => Err(Error::Forbidden),
        }
    }
}

impl Scope {
    /// Returns the organization that every lookup is limited to.
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// Returns the sessions of the organization that exist for the caller.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Returns the actor that events record.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns true if the session belongs to the scope's organization and is within the reach.
    pub fn covers(&self, organization: &OrganizationId, session: &SessionId) -> bool {
        self.organization == *organization && self.reach.covers(session)
    }

    /// Returns the session of a scope that reaches exactly one.
    pub fn only_session(&self) -> Option<&SessionId> {
        match &self.reach {
            Reach::Only(sessions) if sessions.len() == 1 => sessions.first(),
            Reach::Only(_) | Reach::Everything => None,
        }
    }

    /// Allows the creation of sessions and keys. A caller that is confined to named sessions could
    /// not reach what it creates.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a confined caller.
    pub fn may_create(&self) -> Result<()> {
        match self.reach {
            Reach::Everything => Ok(()),
            Reach::Only(_) => Err(Error::Forbidden),
        }
    }
}

/// Returns the value that a lookup in a scope found.
///
/// # Errors
/// [`Error::NotFound`] if the lookup found no value. The message names the kind of value by `noun`.
pub fn or_not_found<T>(noun: &'static str, thing: Option<T>) -> Result<T> {
    thing.ok_or(Error::NotFound { noun })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(organization: Option<&str>, role: &str) -> Caller {
        Caller {
            actor: Actor::User(None),
            organization: organization.and_then(OrganizationId::parse),
            capabilities: Capabilities::of_role(role),
            reach: Reach::Everything,
            platform_admin: false,
            expires_at: None,
            browser_session: None,
        }
    }

    #[test]
    fn scope_requires_capability_and_organization() {
        assert!(caller(Some("acme"), "admin").may(Capability::Manage).is_ok());
        assert!(caller(Some("acme"), "owner").may(Capability::Manage).is_ok());
        for (organization, role) in
            [(Some("acme"), "member"), (Some("acme"), "guest"), (None, "admin")]
        {
            let refused = caller(organization, role).may(Capability::Manage);
            assert!(matches!(refused, Err(Error::Forbidden)), "{organization:?} {role}");
        }
    }

    #[test]
    fn platform_role_grants_no_scope() {
        let mut admin = caller(Some("acme"), "none");
        admin.platform_admin = true;
        assert!(matches!(admin.may(Capability::Read), Err(Error::Forbidden)));
    }

    #[test]
    fn cross_organization_reads_require_user_with_platform_role() {
        let mut admin = caller(None, "none");
        assert!(matches!(admin.may_operate(), Err(Error::Forbidden)));
        admin.platform_admin = true;
        assert!(admin.may_operate().is_ok());
        let link = Actor::Link(LinkId::from_bits(1));
        for actor in
            [Actor::Key(crate::id::KeyId::from_bits(1)), link, Actor::Operator, Actor::System]
        {
            admin.actor = actor;
            assert!(matches!(admin.may_operate(), Err(Error::Forbidden)));
        }
        assert!(matches!(caller(Some("acme"), "owner").may_operate(), Err(Error::Forbidden)));
    }

    #[test]
    fn confined_scope_covers_named_sessions_and_creates_nothing() {
        let (mine, other) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut confined = caller(Some("acme"), "admin");
        confined.reach = Reach::Only([mine.clone()].into());
        let scope = confined.may(Capability::Manage).unwrap();
        let acme = OrganizationId::parse("acme").unwrap();
        assert!(scope.covers(&acme, &mine));
        assert!(!scope.covers(&acme, &other));
        assert!(!scope.covers(&OrganizationId::parse("zeta").unwrap(), &mine));
        assert!(matches!(scope.may_create(), Err(Error::Forbidden)));
    }
}

//! The isolation rule, whole: the only file that makes a [`Scope`], a "forbidden" or a "not found".
//!
//! You cannot look without a scope, and you cannot get a scope without a capability. Every
//! caller-facing look-up takes a scope and answers an `Option`; what it does not find is *not found*,
//! be it missing, deleted, another organization's or out of a key's reach: one path, one answer.
//! *Forbidden* is decided from the caller alone, before any look-up, so it says nothing of any id.
//!
//! Decision: ADR 0013.

use crate::{
    Actor, Caller, Capabilities, Capability, Error, OrganizationId, Reach, Result, SessionId,
};

/// The right to look into one organization, as far as the caller's reach goes.
///
/// Only [`Caller::may`] makes one:
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
    /// The caller's scope, if it has this capability in an organization.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when it belongs to no organization or lacks the capability.
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
    /// The caller's scope, if it has this capability over the whole organization rather than over
    /// named sessions alone.
    ///
    /// # Errors
    /// [`Error::Forbidden`] otherwise.
    pub fn may_throughout(&self, capability: Capability) -> Result<Scope> {
        let scope = self.may(capability)?;
        scope.may_create()?;
        Ok(scope)
    }

    /// The right to make a key with these capabilities: nobody can grant more than they hold.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without [`Capability::Manage`], from a caller confined to named sessions,
    /// or when the key would be able to do more than the caller.
    pub fn may_grant(&self, capabilities: &Capabilities) -> Result<Scope> {
        let scope = self.may_throughout(Capability::Manage)?;
        if self.capabilities.contains_all(capabilities) { Ok(scope) } else { Err(Error::Forbidden) }
    }
}

impl Caller {
    /// The right to look across organizations, which gives no scope in any. Only people have it: a key
    /// belongs to one organization, whatever it carries.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody but a person with the platform's own role.
    pub fn may_operate(&self) -> Result<()> {
        match self.actor {
            Actor::User(_) if self.platform_admin => Ok(()),
            _ => Err(Error::Forbidden),
        }
    }
}

impl Scope {
    /// The organization everything is looked up in.
    pub fn organization(&self) -> &OrganizationId {
        &self.organization
    }

    /// Which of its sessions exist for the caller.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Who is asking, for the record.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whether this session could exist for the caller.
    pub fn covers(&self, organization: &OrganizationId, session: &SessionId) -> bool {
        self.organization == *organization && self.reach.covers(session)
    }

    /// The right to make something new: a caller that is confined to named sessions has none,
    /// for what it made would be out of its own reach.
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

/// What a look-up in a scope found.
///
/// # Errors
/// [`Error::NotFound`] when it found nothing; `noun` is what the message calls the thing.
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
        for actor in [Actor::Key(crate::KeyId::from_bits(1)), Actor::Operator, Actor::System] {
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

//! The session of a browser, and the login that opened it.

use crate::{
    browser_session::digest::BrowserSessionDigest,
    caller::{Actor, Caller, Capabilities, Reach},
    id::{KeyId, OrganizationId, UserId},
    time::Timestamp,
};

/// The rights that a login token states, without its validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginClaims {
    /// The person. `None` if the token has no subject.
    pub user: Option<UserId>,
    /// The organizations that the token names, in its order. The person acts for one at a time.
    pub organizations: Vec<OrganizationId>,
    /// Capabilities within the organization that the person acts for.
    pub capabilities: Capabilities,
    /// Whether the person has the platform role.
    pub platform_admin: bool,
}

impl LoginClaims {
    /// Returns the organization of a person who belongs to exactly one.
    pub fn only_organization(&self) -> Option<&OrganizationId> {
        match self.organizations.as_slice() {
            [organization] => Some(organization),
            _ => None,
        }
    }

    /// Returns the caller that acts for an organization, or for none and then without capabilities.
    pub fn caller(
        &self,
        organization: Option<&OrganizationId>,
        expires_at: Option<Timestamp>,
    ) -> Caller {
        let capabilities = organization.map(|_| self.capabilities.clone()).unwrap_or_default();
        Caller {
            actor: Actor::User(self.user.clone()),
            organization: organization.cloned(),
            capabilities,
            reach: Reach::Everything,
            platform_admin: self.platform_admin,
            expires_at,
            browser_session: None,
        }
    }
}

/// The holder of a browser session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrowserSessionHolder {
    /// An API key, whose rights are read again for each request.
    Key(KeyId),
    /// A person with a login token.
    Person(LoginClaims),
}

/// An accepted credential, from which a browser session begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// The holder of the credential.
    pub holder: BrowserSessionHolder,
    /// The organization of the key, or the only one of the person.
    pub organization: Option<OrganizationId>,
    /// The time at which the credential expires. `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
}

impl SignIn {
    /// Returns the login of a person.
    pub fn of_claims(claims: LoginClaims, expires_at: Option<Timestamp>) -> Self {
        let organization = claims.only_organization().cloned();
        Self { holder: BrowserSessionHolder::Person(claims), organization, expires_at }
    }

    /// Returns the login of a caller who acts for one organization at most.
    pub fn of_caller(caller: Caller) -> Self {
        let Caller { actor, organization, capabilities, platform_admin, expires_at, .. } = caller;
        match actor {
            Actor::Key(key) => {
                Self { holder: BrowserSessionHolder::Key(key), organization, expires_at }
            }
            // No credential has the last three actors.
            Actor::User(_) | Actor::Link(_) | Actor::Operator | Actor::System => {
                let user = actor.user().cloned();
                let organizations = organization.into_iter().collect();
                let claims = LoginClaims { user, organizations, capabilities, platform_admin };
                Self::of_claims(claims, expires_at)
            }
        }
    }
}

/// A session of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrowserSession {
    /// Digest of the secret in the cookie.
    pub digest: BrowserSessionDigest,
    /// The key or the person.
    pub holder: BrowserSessionHolder,
    /// The organization that the browser acts for. `None` for a person who has none, or has not
    /// chosen one.
    pub organization: Option<OrganizationId>,
    /// Time of the login.
    pub created_at: Timestamp,
    /// Time of the last use, with a resolution of one minute.
    pub last_used_at: Timestamp,
    /// Time at which the session ends whatever the browser does.
    pub ends_at: Timestamp,
    /// Time at which the session ends without another use; at most [`Self::ends_at`].
    pub expires_at: Timestamp,
}

impl BrowserSession {
    /// Returns true if the session has not ended.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Returns the organizations that the browser can act for.
    pub fn organizations(&self) -> &[OrganizationId] {
        match &self.holder {
            BrowserSessionHolder::Key(_) => self.organization.as_slice(),
            BrowserSessionHolder::Person(claims) => &claims.organizations,
        }
    }

    /// Returns the name by which the sessions of one holder are counted: of a key, or of a person in
    /// all organizations. Persons without a name are counted by their organizations, so that the
    /// logins of one organization never end sessions of another one.
    pub fn holder_name(&self) -> String {
        match &self.holder {
            BrowserSessionHolder::Key(key) => format!("key {key}"),
            BrowserSessionHolder::Person(LoginClaims { user: Some(user), .. }) => {
                format!("user {}", user.as_str())
            }
            BrowserSessionHolder::Person(claims) => {
                let organizations = claims.organizations.iter();
                let names: Vec<_> = organizations.map(OrganizationId::as_str).collect();
                format!("unnamed user of {}", names.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_counted_by_key_or_person() {
        let organization = |name: &str| OrganizationId::parse(name).unwrap();
        let named = |user: Option<&str>, organizations: &[&str]| {
            let claims = LoginClaims {
                user: user.map(|user| UserId::parse(user).unwrap()),
                organizations: organizations.iter().map(|name| organization(name)).collect(),
                capabilities: Capabilities::default(),
                platform_admin: false,
            };
            let session = BrowserSession {
                digest: BrowserSessionDigest([1; 32]),
                holder: BrowserSessionHolder::Person(claims),
                organization: None,
                created_at: Timestamp::from_millis(1),
                last_used_at: Timestamp::from_millis(1),
                ends_at: Timestamp::from_millis(2),
                expires_at: Timestamp::from_millis(2),
            };
            session.holder_name()
        };
        assert_eq!(named(Some("u-1"), &["acme"]), named(Some("u-1"), &["acme", "zeta"]));
        assert_ne!(named(Some("u-1"), &["acme"]), named(Some("u-2"), &["acme"]));
        // Tokens without a subject: those of one organization leave the others alone.
        assert_eq!(named(None, &["acme"]), named(None, &["acme"]));
        assert_ne!(named(None, &["acme"]), named(None, &["zeta"]));
        assert_ne!(named(None, &["acme"]), named(Some("of acme"), &["acme"]));
    }
}

//! What a verified token says: until when, for whom, and which organization and role its holder has.
//!
//! Issuers disagree on where they put the last three, so their places are configured as JSON
//! pointers (RFC 6901). What is there must have one of the shapes below; anything else refuses the
//! token rather than being guessed at.
//!
//! - The organization: a string; or a list or an object with exactly one entry (Keycloak: the
//!   entry's `id`, or else its name). None, or more than one, is a person without an organization.
//! - Roles: a string, several separated by commas (better-auth), or a list of strings (Keycloak).
//!   The strongest that is known counts.

use std::time::Duration;

use domain::{Actor, Caller, Capabilities, OrganizationId, Reach, Timestamp, UserId};
use serde_json::{Map, Value};

use crate::{config::Pointer, token::Cause};

/// The platform role that opens the operator's endpoints.
const SUPER_ADMIN: &str = "super_admin";
/// The last second of the year 9999. A later one is not a date but a mistake, most often
/// milliseconds, and would make a token that never ends.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Where a token says what berth needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPaths {
    /// The organization the person acts for.
    pub organization: Pointer,
    /// The person's role in it: `owner`, `admin` and `member` are known.
    pub role: Pointer,
    /// The person's role on the platform: `super_admin` is known.
    pub platform_role: Pointer,
}

/// `/org_id`, `/role` and `/platform_role`.
impl Default for ClaimPaths {
    fn default() -> Self {
        Self::at("/org_id", "/role", "/platform_role")
    }
}

impl ClaimPaths {
    /// The names [`Self::preset`] knows.
    pub const PRESETS: [&str; 4] = ["better-auth", "clerk", "auth0", "keycloak"];

    /// The places in the tokens of a well-known issuer; `None` when the name is not known. Whole tokens
    /// are in `docs/login-tokens.md`.
    ///
    /// `better-auth` (plugin `jwt`). Its own payload is the user alone, whose `role` (plugin
    /// `admin`) is a role on the platform; `jwt.definePayload` adds the other two:
    /// ```json
    /// { "sub": "u1", "role": "super_admin",
    ///   "activeOrganizationId": "org1", "activeOrganizationRole": "owner,member" }
    /// ```
    /// `clerk` (session token, version 2). `metadata` is added under *Customize session token*:
    /// ```json
    /// { "sub": "user_1", "v": 2, "o": { "id": "org_1", "rol": "admin", "slg": "acme" },
    ///   "metadata": { "role": "super_admin" } }
    /// ```
    /// `auth0` (access token with Organizations). The roles are added by an Action, under names
    /// like a URL's, as Auth0 advises:
    /// ```json
    /// { "sub": "auth0|1", "org_id": "org_1", "https://berth/roles": ["admin"],
    ///   "https://berth/platform_role": "super_admin" }
    /// ```
    /// `keycloak` (client scope `organization`; switch on *Add organization id* in its mapper, or
    /// the organization is known by its alias). Realm roles serve for both kinds of role:
    /// ```json
    /// { "sub": "…", "organization": { "acme": { "id": "…" } },
    ///   "realm_access": { "roles": ["member", "offline_access"] } }
    /// ```
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "better-auth" => Self::at("/activeOrganizationId", "/activeOrganizationRole", "/role"),
            "clerk" => Self::at("/o/id", "/o/rol", "/metadata/role"),
            "auth0" => {
                Self::at("/org_id", "/https:~1~1berth~1roles", "/https:~1~1berth~1platform_role")
            }
            "keycloak" => Self::at("/organization", "/realm_access/roles", "/realm_access/roles"),
            _ => return None,
        })
    }

    fn at(organization: &str, role: &str, platform_role: &str) -> Self {
        Self {
            organization: Pointer::known(organization),
            role: Pointer::known(role),
            platform_role: Pointer::known(platform_role),
        }
    }

    /// The caller these claims describe. A token that names nobody in `sub` is somebody all the
    /// same: who can do what is said by organization and role, not by the name.
    pub(crate) fn caller(&self, claims: &Value) -> Result<Caller, Cause> {
        let organization = organization(self.organization.find(claims))?;
        let roles = roles(self.role.find(claims))?;
        let platform_roles = roles_on_platform(self.platform_role.find(claims))?;
        let user = text(claims.get("sub"), "the subject is not text")?;
        let user = user.map(|s| UserId::parse(s).ok_or("the subject cannot be a name"));
        let capabilities = match organization {
            Some(_) => strongest(&roles),
            None => Capabilities::default(),
        };
        Ok(Caller {
            actor: Actor::User(user.transpose()?),
            organization,
            capabilities,
            reach: Reach::Everything,
            platform_admin: platform_roles.contains(&SUPER_ADMIN),
        })
    }
}

/// When a token is in force, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    begins: Option<i64>,
    expires: i64,
}

impl Times {
    /// What the claims say of it.
    pub(crate) fn read(claims: &Value) -> Result<Self, Cause> {
        let not = "a time in the token is not a number of seconds";
        let expires = millis(claims.get("exp"), not)?.ok_or("the token has no expiry")?;
        let begins = millis(claims.get("nbf"), not)?;
        // Tells nothing that matters here, but a token that gets it wrong is not a token.
        millis(claims.get("iat"), not)?;
        Ok(Self { begins, expires })
    }

    /// Refuses a token that is over or not yet begun, give or take the leeway.
    pub(crate) fn check(self, now: Timestamp, leeway: Duration) -> Result<(), Cause> {
        let leeway = i64::try_from(leeway.as_millis()).unwrap_or(i64::MAX);
        if now.millis().saturating_sub(leeway) >= self.expires {
            return Err("the token has expired");
        }
        if self.begins.is_some_and(|begins| now.millis().saturating_add(leeway) < begins) {
            return Err("the token is not valid yet");
        }
        Ok(())
    }
}

/// Refuses a token of another issuer, and one for another audience.
pub(crate) fn check_origin(
    claims: &Value,
    issuer: Option<&str>,
    audience: Option<&str>,
) -> Result<(), Cause> {
    let said = text(claims.get("iss"), "the issuer is not text")?;
    if issuer.is_some() && said != issuer {
        return Err("the token is of another issuer");
    }
    let said = match present(claims.get("aud")) {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => all_text(many).ok_or("the audience is not text")?,
        Some(_) => return Err("the audience is not text"),
    };
    match audience {
        Some(ours) if !said.contains(&ours) => Err("the token is for another audience"),
        _ => Ok(()),
    }
}

/// Returns the claim's time in milliseconds since the epoch. It may have a fraction (RFC 7519, section 2,
/// `NumericDate`).
fn millis(claim: Option<&Value>, not: Cause) -> Result<Option<i64>, Cause> {
    let Some(claim) = present(claim) else { return Ok(None) };
    let seconds = claim.as_f64().filter(|s| (0.0..=LAST_SECOND).contains(s)).ok_or(not)?;
    #[expect(clippy::cast_possible_truncation, reason = "at most 253,402,300,799,000")]
    Ok(Some((seconds * 1000.0).round() as i64))
}

/// A claim that is `null` says no more than one that is absent.
fn present(claim: Option<&Value>) -> Option<&Value> {
    claim.filter(|claim| !claim.is_null())
}

fn text(claim: Option<&Value>, not: Cause) -> Result<Option<&str>, Cause> {
    present(claim).map(|claim| claim.as_str().ok_or(not)).transpose()
}

fn all_text(values: &[Value]) -> Option<Vec<&str>> {
    values.iter().map(Value::as_str).collect()
}

fn organization(claim: Option<&Value>) -> Result<Option<OrganizationId>, Cause> {
    let not = "the organization claim has an unknown shape";
    let name = match claim {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.as_str()).filter(|name| !name.is_empty()),
        Some(Value::Array(names)) => match all_text(names).ok_or(not)?.as_slice() {
            [name] => Some(*name),
            _ => None,
        },
        Some(Value::Object(entries)) => only_entry(entries, not)?,
        Some(_) => return Err(not),
    };
    name.map(|name| OrganizationId::parse(name).ok_or("the organization cannot be a name"))
        .transpose()
}

/// The organization in Keycloak's map of them, by alias, if it is exactly one.
fn only_entry(entries: &Map<String, Value>, not: Cause) -> Result<Option<&str>, Cause> {
    let mut names = Vec::new();
    for (alias, about) in entries {
        names.push(match about.as_object().ok_or(not)?.get("id") {
            None => alias.as_str(),
            Some(id) => id.as_str().ok_or(not)?,
        });
    }
    Ok(match names.as_slice() {
        [name] => Some(*name),
        _ => None,
    })
}

fn roles(claim: Option<&Value>) -> Result<Vec<&str>, Cause> {
    let not = "the role claim has an unknown shape";
    let listed = match claim {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => all_text(many).ok_or(not)?,
        Some(_) => return Err(not),
    };
    Ok(listed.into_iter().flat_map(|role| role.split(',')).map(str::trim).collect())
}

fn roles_on_platform(claim: Option<&Value>) -> Result<Vec<&str>, Cause> {
    roles(claim).map_err(|_| "the platform role claim has an unknown shape")
}

fn strongest(roles: &[&str]) -> Capabilities {
    roles
        .iter()
        .map(|role| Capabilities::of_role(role))
        .fold(Capabilities::default(), |best, next| if next.contains_all(&best) { next } else { best })
}

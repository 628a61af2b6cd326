//! Reads the claims of a verified token: issuer, audience, organization and roles.
//!
//! Issuers put organization and roles in different places, so the places are configured as JSON
//! pointers (RFC 6901). A value must have one of the forms below; any other value rejects the
//! token.
//!
//! - Organization: a string, or a list or object (Keycloak: the `id` of an entry, or else its name).
//!   With no entry or with several, the caller has no organization; a browser session chooses one of
//!   several.
//! - Roles: a string, with commas between roles (better-auth), or a list of strings (Keycloak). The
//!   strongest known role counts.

use domain::{Capabilities, LoginClaims, OrganizationId, UserId};
use serde_json::{Map, Value};

use super::{pointer::Pointer, token::Cause};

/// The platform role that gives access to the operator's endpoints.
const SUPER_ADMIN: &str = "super_admin";
/// The locations of organization and roles in a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPaths {
    /// The organization that the person acts for.
    pub organization: Pointer,
    /// The person's role in the organization: `owner`, `admin` or `member`. Other roles give no
    /// capability.
    pub role: Pointer,
    /// The person's role on the platform: `super_admin`. Other roles give no right.
    pub platform_role: Pointer,
}

/// `/org_id`, `/role` and `/platform_role`.
impl Default for ClaimPaths {
    fn default() -> Self {
        Self::constant("/org_id", "/role", "/platform_role")
    }
}

impl ClaimPaths {
    /// The names that [`Self::preset`] accepts.
    pub const PRESETS: [&str; 4] = ["better-auth", "clerk", "auth0", "keycloak"];

    /// Returns the locations in the tokens of a well-known issuer; `None` for an unknown name.
    /// `docs/login-tokens.md` has whole tokens.
    ///
    /// `better-auth` (plugin `jwt`). The default payload is the user, whose `role` (plugin `admin`)
    /// is a role on the platform; `jwt.definePayload` adds organization and role:
    /// ```json
    /// { "sub": "u1", "role": "super_admin",
    ///   "activeOrganizationId": "org1", "activeOrganizationRole": "owner,member" }
    /// ```
    /// `clerk` (session token, version 2). *Customize session token* adds `metadata`:
    /// ```json
    /// { "sub": "user_1", "v": 2, "o": { "id": "org_1", "rol": "admin", "slg": "acme" },
    ///   "metadata": { "role": "super_admin" } }
    /// ```
    /// `auth0` (access token with Organizations). An Action adds the roles, under names in the form
    /// of URLs, as Auth0 recommends:
    /// ```json
    /// { "sub": "auth0|1", "org_id": "org_1", "https://berth/roles": ["admin"],
    ///   "https://berth/platform_role": "super_admin" }
    /// ```
    /// `keycloak` (client scope `organization`). With *Add organization id* in the mapper the
    /// organization is identified by its id, otherwise by its alias. Realm roles serve as both
    /// kinds of role:
    /// ```json
    /// { "sub": "…", "organization": { "acme": { "id": "…" } },
    ///   "realm_access": { "roles": ["member", "offline_access"] } }
    /// ```
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "better-auth" => {
                Self::constant("/activeOrganizationId", "/activeOrganizationRole", "/role")
            }
            "clerk" => Self::constant("/o/id", "/o/rol", "/metadata/role"),
            "auth0" => Self::constant(
                "/org_id",
                "/https:~1~1berth~1roles",
                "/https:~1~1berth~1platform_role",
            ),
            "keycloak" => {
                Self::constant("/organization", "/realm_access/roles", "/realm_access/roles")
            }
            _ => return None,
        })
    }

    fn constant(organization: &str, role: &str, platform_role: &str) -> Self {
        Self {
            organization: Pointer::constant(organization),
            role: Pointer::constant(role),
            platform_role: Pointer::constant(platform_role),
        }
    }

    /// Returns the rights that the claims state. A token without `sub` is accepted, because
    /// organization and role decide about rights, and the subject does not.
    pub(super) fn login(&self, claims: &Value) -> Result<LoginClaims, Cause> {
        let organizations = organizations(self.organization.get(claims))?;
        let roles = roles(self.role.get(claims))?;
        let platform_roles = platform_roles(self.platform_role.get(claims))?;
        let user = text(claims.get("sub"), "the subject is not text")?;
        let user = user.map(|s| UserId::parse(s).ok_or("the subject is not a valid user id"));
        Ok(LoginClaims {
            user: user.transpose()?,
            organizations,
            capabilities: strongest_role(&roles),
            platform_admin: platform_roles.contains(&SUPER_ADMIN),
        })
    }
}

/// Rejects a token of another issuer or for another audience.
pub(super) fn check_origin(
    claims: &Value,
    expected_issuer: Option<&str>,
    expected_audience: Option<&str>,
) -> Result<(), Cause> {
    let issuer = text(claims.get("iss"), "the issuer is not text")?;
    if expected_issuer.is_some() && issuer != expected_issuer {
        return Err("the token is of another issuer");
    }
    let audiences = match present(claims.get("aud")) {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => all_text(many).ok_or("the audience is not text")?,
        Some(_) => return Err("the audience is not text"),
    };
    match expected_audience {
        Some(expected) if !audiences.contains(&expected) => {
            Err("the token is for another audience")
        }
        _ => Ok(()),
    }
}

/// Rejects an ID token of another login, or for another client (OIDC Core, 3.1.3.7).
pub(super) fn check_login(claims: &Value, nonce: &str, client: &str) -> Result<(), Cause> {
    if text(claims.get("nonce"), "the nonce is not text")? != Some(nonce) {
        return Err("the ID token is of another login");
    }
    match text(claims.get("azp"), "the authorized party is not text")? {
        Some(party) if party != client => Err("the ID token is for another client"),
        _ => Ok(()),
    }
}

/// Treats a `null` claim as absent.
pub(super) fn present(claim: Option<&Value>) -> Option<&Value> {
    claim.filter(|claim| !claim.is_null())
}

fn text(claim: Option<&Value>, error: Cause) -> Result<Option<&str>, Cause> {
    present(claim).map(|claim| claim.as_str().ok_or(error)).transpose()
}

fn all_text(values: &[Value]) -> Option<Vec<&str>> {
    values.iter().map(Value::as_str).collect()
}

fn organizations(claim: Option<&Value>) -> Result<Vec<OrganizationId>, Cause> {
    let error = "the organization claim has an unknown form";
    let ids = match claim {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(id)) if id.is_empty() => Vec::new(),
        Some(Value::String(id)) => vec![id.as_str()],
        Some(Value::Array(ids)) => all_text(ids).ok_or(error)?,
        Some(Value::Object(entries)) => entry_ids(entries, error)?,
        Some(_) => return Err(error),
    };
    let parse = |id| OrganizationId::parse(id);
    let parsed: Option<_> = ids.into_iter().map(parse).collect();
    parsed.ok_or("the organization is not a valid organization id")
}

/// Returns the organizations in Keycloak's map by alias.
fn entry_ids(entries: &Map<String, Value>, error: Cause) -> Result<Vec<&str>, Cause> {
    let mut ids = Vec::new();
    for (alias, entry) in entries {
        ids.push(match entry.as_object().ok_or(error)?.get("id") {
            None => alias.as_str(),
            Some(id) => id.as_str().ok_or(error)?,
        });
    }
    Ok(ids)
}

fn roles(claim: Option<&Value>) -> Result<Vec<&str>, Cause> {
    let error = "the role claim has an unknown form";
    let listed = match claim {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => all_text(many).ok_or(error)?,
        Some(_) => return Err(error),
    };
    Ok(listed.into_iter().flat_map(|role| role.split(',')).map(str::trim).collect())
}

fn platform_roles(claim: Option<&Value>) -> Result<Vec<&str>, Cause> {
    roles(claim).map_err(|_| "the platform role claim has an unknown form")
}

fn strongest_role(roles: &[&str]) -> Capabilities {
    roles.iter().map(|role| Capabilities::of_role(role)).fold(
        Capabilities::default(),
        |best, next| if next.contains_all(&best) { next } else { best },
    )
}

//! The table `browser_sessions`.

use diesel::prelude::*;
use domain::{
    BrowserSession, BrowserSessionDigest, BrowserSessionHolder, Capability, KeyId, LoginClaims,
    OrganizationId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError,
    rows::column::{from_json, parse_optional, to_json},
    schema::browser_sessions,
};

const KEY: &str = "key";
const PERSON: &str = "person";

/// A row of `browser_sessions`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = browser_sessions, treat_none_as_default_value = false)]
pub(crate) struct BrowserSessionRow {
    digest: Vec<u8>,
    kind: String,
    key_id: Option<String>,
    claims: Option<String>,
    pub(crate) holder: String,
    organization: Option<String>,
    created_at: i64,
    last_used_at: i64,
    ends_at: i64,
    expires_at: i64,
}

/// The change of the column `organization`.
#[derive(AsChangeset)]
#[diesel(table_name = browser_sessions)]
pub(crate) struct OrganizationColumn {
    pub(crate) organization: String,
}

/// The column `claims`.
#[derive(Serialize, Deserialize)]
struct ClaimsJson {
    user: Option<String>,
    organizations: Vec<String>,
    capabilities: Vec<String>,
    platform_admin: bool,
}

impl BrowserSessionRow {
    pub(crate) fn new(session: &BrowserSession) -> Result<Self, StoreError> {
        let (kind, key_id, claims) = match &session.holder {
            BrowserSessionHolder::Key(key) => (KEY, Some(key.to_string()), None),
            BrowserSessionHolder::Person(claims) => {
                let json = to_json("browser_sessions.claims", &ClaimsJson::of(claims))?;
                (PERSON, None, Some(json))
            }
        };
        Ok(Self {
            digest: session.digest.0.to_vec(),
            kind: kind.to_owned(),
            key_id,
            claims,
            holder: session.holder_name(),
            organization: session.organization.as_ref().map(ToString::to_string),
            created_at: session.created_at.millis(),
            last_used_at: session.last_used_at.millis(),
            ends_at: session.ends_at.millis(),
            expires_at: session.expires_at.millis(),
        })
    }

    fn session(&self) -> Result<BrowserSession, &'static str> {
        Ok(BrowserSession {
            digest: digest(&self.digest).ok_or("browser_sessions.digest")?,
            holder: self.session_holder().ok_or("browser_sessions.kind")?,
            organization: organization(self.organization.as_deref())
                .ok_or("browser_sessions.organization")?,
            created_at: Timestamp::from_millis(self.created_at),
            last_used_at: Timestamp::from_millis(self.last_used_at),
            ends_at: Timestamp::from_millis(self.ends_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }

    fn session_holder(&self) -> Option<BrowserSessionHolder> {
        match (self.kind.as_str(), &self.key_id, &self.claims) {
            (KEY, Some(key), None) => KeyId::parse(key).map(BrowserSessionHolder::Key),
            (PERSON, None, Some(json)) => {
                from_json::<ClaimsJson>(json)?.claims().map(BrowserSessionHolder::Person)
            }
            _ => None,
        }
    }
}

/// Parses the column `digest`.
pub(crate) fn digest(bytes: &[u8]) -> Option<BrowserSessionDigest> {
    bytes.try_into().ok().map(BrowserSessionDigest)
}

/// Parses the column `organization`: `Some(None)` for NULL, `None` for an invalid value.
#[expect(clippy::option_option, reason = "empty and impossible are two things")]
pub(crate) fn organization(name: Option<&str>) -> Option<Option<OrganizationId>> {
    parse_optional(name, OrganizationId::parse)
}

impl ClaimsJson {
    fn of(claims: &LoginClaims) -> Self {
        Self {
            user: claims.user.as_ref().map(ToString::to_string),
            organizations: claims.organizations.iter().map(ToString::to_string).collect(),
            capabilities: claims.capabilities.iter().map(|it| it.as_str().to_owned()).collect(),
            platform_admin: claims.platform_admin,
        }
    }

    fn claims(&self) -> Option<LoginClaims> {
        let organizations = self.organizations.iter().map(|id| OrganizationId::parse(id));
        let capabilities = self.capabilities.iter().map(|name| Capability::parse(name));
        Some(LoginClaims {
            user: parse_optional(self.user.as_deref(), UserId::parse)?,
            organizations: organizations.collect::<Option<_>>()?,
            capabilities: capabilities.collect::<Option<_>>()?,
            platform_admin: self.platform_admin,
        })
    }
}

impl TryFrom<BrowserSessionRow> for BrowserSession {
    type Error = StoreError;

    fn try_from(row: BrowserSessionRow) -> Result<Self, StoreError> {
        // The digest of a secret is of no use to a reader of the log.
        row.session().map_err(|column| StoreError::corrupt(column, &row.holder))
    }
}

//! The table `api_keys`.
//!
//! Decision: ADR 0013.

use std::collections::BTreeSet;

use diesel::prelude::*;
use domain::{ApiKey, Capabilities, Capability, KeyId, OrganizationId, SessionId, Timestamp};

use crate::{
    StoreError,
    rows::column::{actor, actor_columns, from_json, parse_optional, timestamp, to_json},
    schema::api_keys,
};

/// A row of `api_keys`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
pub(crate) struct ApiKeyRow {
    pub(crate) id: String,
    organization: String,
    name: String,
    capabilities: String,
    sessions: Option<String>,
    digest: Vec<u8>,
    created_by_kind: String,
    created_by_name: Option<String>,
    pub(crate) created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl ApiKeyRow {
    pub(crate) fn new(key: &ApiKey) -> Result<Self, StoreError> {
        let (kind, name) = actor_columns(&key.created_by);
        let capabilities: Vec<_> = key.capabilities.iter().map(Capability::as_str).collect();
        let sessions: Option<Vec<_>> =
            key.sessions.as_ref().map(|ids| ids.iter().map(SessionId::as_str).collect());
        Ok(Self {
            id: key.id.to_string(),
            organization: key.organization.to_string(),
            name: key.name.clone(),
            capabilities: to_json("api_keys.capabilities", &capabilities)?,
            sessions: sessions.map(|ids| to_json("api_keys.sessions", &ids)).transpose()?,
            digest: key.digest.to_vec(),
            created_by_kind: kind.to_owned(),
            created_by_name: name,
            created_at: key.created_at.millis(),
            expires_at: key.expires_at.map(Timestamp::millis),
            last_used_at: key.last_used_at.map(Timestamp::millis),
            revoked_at: key.revoked_at.map(Timestamp::millis),
        })
    }

    fn key(&self) -> Result<ApiKey, &'static str> {
        Ok(ApiKey {
            id: KeyId::parse(&self.id).ok_or("api_keys.id")?,
            organization: OrganizationId::parse(&self.organization)
                .ok_or("api_keys.organization")?,
            name: self.name.clone(),
            capabilities: capabilities(&self.capabilities).ok_or("api_keys.capabilities")?,
            sessions: parse_optional(self.sessions.as_deref(), session_ids)
                .ok_or("api_keys.sessions")?,
            digest: self.digest.as_slice().try_into().map_err(|_| "api_keys.digest")?,
            created_by: actor(&self.created_by_kind, self.created_by_name.as_deref())
                .ok_or("api_keys.created_by_kind")?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: timestamp(self.expires_at),
            last_used_at: timestamp(self.last_used_at),
            revoked_at: timestamp(self.revoked_at),
        })
    }
}

fn capabilities(text: &str) -> Option<Capabilities> {
    let names: Vec<String> = from_json(text)?;
    names.iter().map(|name| Capability::parse(name)).collect()
}

fn session_ids(text: &str) -> Option<BTreeSet<SessionId>> {
    let ids: Vec<String> = from_json(text)?;
    ids.iter().map(|id| SessionId::parse(id)).collect()
}

impl TryFrom<ApiKeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: ApiKeyRow) -> Result<Self, StoreError> {
        row.key().map_err(|column| StoreError::corrupt(column, &row.id))
    }
}

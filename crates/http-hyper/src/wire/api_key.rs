//! API keys in requests and responses. Only the response of the creation contains the text of a
//! key.

use domain::{ApiKey, ApiKeys, Capabilities, Capability, KeySpec, MAX_KEY_SESSIONS, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{Schema, Type},
    },
};

use super::example::example_is_sample;
use crate::{
    request::fields::{Fields, MAX_TIMESTAMP_MILLIS},
    response::violation::Violation,
    wire::schema::{self, NO_CONTROL, list, moment_or_null, object, or_null, text},
};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// The id of the key.
    pub id: String,
    /// The beginning of the key's text, by which people recognize the key.
    pub prefix: String,
    /// The name of the key, for people.
    pub name: String,
    /// The capabilities of the key.
    #[schema(schema_with = schema::capabilities)]
    pub capabilities: Vec<&'static str>,
    /// The ids of the sessions that the key can access; null for all sessions.
    pub sessions: Option<Vec<String>>,
    /// The time of creation.
    pub created_at: i64,
    /// The person who created the key; null when a key or an operator did.
    pub created_by_user_id: Option<String>,
    /// The time of the last use, to the minute; null before the first use.
    pub last_used_at: Option<i64>,
    /// The time at which the key expires; null when it does not expire.
    pub expires_at: Option<i64>,
}

/// A new API key.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewApiKey)]
pub struct NewApiKeyView {
    /// The full text of the key, which no other response contains.
    pub key: String,
    /// The key without its secret.
    #[serde(flatten)]
    pub view: ApiKeyView,
}

/// The request to create an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySpec {
    /// The settings of the key.
    pub key: KeySpec,
    /// The JSON pointer of each session in the body, in the order of the settings.
    pub pointers: Vec<String>,
}

example_is_sample!(ApiKeySpec, ApiKeyView, NewApiKeyView);

impl ApiKeyView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: "key_01JGXS1DN00000000000000002".to_owned(),
            prefix: "wa_01Yf7LrQ0000000000000g".to_owned(),
            name: "Shop".to_owned(),
            capabilities: vec!["read", "manage"],
            sessions: Some(vec!["sess_01JGXS1DN00000000000000001".to_owned()]),
            created_at: 1_767_254_200_000,
            created_by_user_id: Some("user_1".to_owned()),
            last_used_at: Some(1_767_254_400_000),
            expires_at: Some(1_798_790_400_000),
        }
    }

    pub(crate) fn of(key: &ApiKey, keys: &ApiKeys) -> Self {
        let sessions = key.sessions.as_ref();
        Self {
            id: key.id.as_str().to_owned(),
            prefix: keys.prefix(key),
            name: key.name.clone(),
            capabilities: key.capabilities.iter().map(Capability::as_str).collect(),
            sessions: sessions.map(|ids| ids.iter().map(ToString::to_string).collect()),
            created_at: key.created_at.millis(),
            created_by_user_id: key.created_by.user().map(|user| user.as_str().to_owned()),
            last_used_at: key.last_used_at.map(Timestamp::millis),
            expires_at: key.expires_at.map(Timestamp::millis),
        }
    }
}

impl NewApiKeyView {
    /// Returns an example.
    pub fn sample() -> Self {
        let view = ApiKeyView::sample();
        Self { key: format!("{}_…", view.prefix), view }
    }
}

impl std::fmt::Debug for NewApiKeyView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApiKeyView").field("view", &self.view).finish_non_exhaustive()
    }
}

impl PartialSchema for ApiKeySpec {
    fn schema() -> RefOr<Schema> {
        let name = text("The name of the key, for people; no control characters.");
        let name = name.min_length(Some(1)).max_length(Some(100)).pattern(Some(NO_CONTROL));
        let capabilities =
            list("The capabilities of the key, each of which you must have.", schema::capability());
        let expires_at = moment_or_null(
            "The time at which the key expires; in the future.",
            0,
            MAX_TIMESTAMP_MILLIS,
        );
        let session = text("The `id` of a session of your organization.").build();
        let sessions = list("The sessions that the key can access; null for all.", session);
        let sessions = sessions.schema_type(or_null(Type::Array));
        let spec = object("The request to create an API key.")
            .property("name", name)
            .property("capabilities", capabilities.min_items(Some(1)))
            .property("expiresAt", expires_at)
            .property("sessions", sessions.min_items(Some(1)).max_items(Some(MAX_KEY_SESSIONS)))
            .required("name")
            .required("capabilities");
        RefOr::T(spec.build().into())
    }
}

impl ToSchema for ApiKeySpec {}

impl ApiKeySpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({ "name": "Shop", "capabilities": ["read", "manage"], "expiresAt": null, "sessions": null })
    }

    pub(crate) fn read(fields: &mut Fields, now: Timestamp) -> Self {
        let named = fields.list("sessions").map(|named| named.into_iter().unzip());
        let (pointers, sessions) = named.map_or((Vec::new(), None), |(at, ids)| (at, Some(ids)));
        let key = KeySpec {
            name: fields.required_text("name").unwrap_or_default(),
            capabilities: capabilities(fields),
            expires_at: fields.timestamp("expiresAt"),
            sessions,
        };
        fields.add_faults_of_valid_fields(key.violations(now));
        Self { key, pointers }
    }
}

fn capabilities(fields: &mut Fields) -> Capabilities {
    let mut found = Vec::new();
    for (pointer, name) in fields.list("capabilities").unwrap_or_default() {
        match Capability::parse(&name) {
            Some(capability) => found.push(capability),
            None => {
                fields.add_faults([Violation::new(pointer, "must be read, send or manage")]);
            }
        }
    }
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut fields = Fields::parse(text.as_bytes());
        ApiKeySpec::read(&mut fields, Timestamp::from_millis(5));
        fields.finish().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn sample_is_valid() {
        assert!(faults(&ApiKeySpec::sample().to_string()).is_empty());
    }

    #[test]
    fn each_fault_is_reported_once() {
        assert_eq!(faults("{}"), ["/name", "/capabilities"]);
        assert_eq!(faults("[]"), [""]);
        let found = faults(
            r#"{"name":"","capabilities":["read","fly",7],"expiresAt":5,"sessions":[],"x":1}"#,
        );
        let expected =
            ["/capabilities/2", "/capabilities/1", "/name", "/expiresAt", "/sessions", "/x"];
        assert_eq!(found, expected);
        let found = faults(r#"{"name":7,"capabilities":"read","expiresAt":"soon","sessions":"a"}"#);
        assert_eq!(found, ["/sessions", "/name", "/capabilities", "/expiresAt"]);
        let many = vec!["x"; MAX_KEY_SESSIONS + 1];
        let body = json!({ "name": "k", "capabilities": ["read"], "sessions": many });
        assert_eq!(faults(&body.to_string()), ["/sessions"]);
    }

    #[test]
    fn new_key_is_absent_from_debug_output() {
        assert!(!format!("{:?}", NewApiKeyView::sample()).contains("_…"));
    }
}

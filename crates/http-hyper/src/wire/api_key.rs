//! An API key as its organization sees it, and what one is made with. Its text is shown once.

use domain::{
    ApiKey, ApiKeys, Capabilities, Capability, KeySpec, MAX_KEY_SESSIONS, Timestamp, Violation,
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{Schema, Type},
    },
};

use crate::{
    request::fields::{Fields, MAX_TIMESTAMP_MILLIS},
    wire::schema::{self, NO_CONTROL, list, moment_or_null, object, or_null, text},
};

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// Its public name.
    pub id: String,
    /// How its text begins, to recognise it by.
    pub prefix: String,
    /// What people call it.
    pub name: String,
    /// What it can do.
    #[schema(schema_with = schema::capabilities)]
    pub capabilities: Vec<&'static str>,
    /// The sessions beyond which everything is not found; null for all of them.
    pub sessions: Option<Vec<String>>,
    /// When it was made.
    pub created_at: i64,
    /// The person who made it; null when a key or an operator did.
    pub created_by_user_id: Option<String>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<i64>,
    /// When it stops working by itself.
    pub expires_at: Option<i64>,
}

/// A key that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewApiKey)]
pub struct NewApiKeyView {
    /// The whole text, which nobody can ask for again.
    pub key: String,
    /// What can be seen of it later.
    #[serde(flatten)]
    pub view: ApiKeyView,
}

/// What a key is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySpec {
    /// What it is to be.
    pub key: KeySpec,
    /// Where in the body each of the sessions is named that it is confined to.
    pub pointers: Vec<String>,
}

impl ApiKeyView {
    /// An example.
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
    /// An example.
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
        let name = text("What people call it; no control characters.");
        let name = name.min_length(Some(1)).max_length(Some(100)).pattern(Some(NO_CONTROL));
        let capabilities = list("What it can do: no more than you can.", schema::capability());
        let expires_at =
            moment_or_null("When it stops working by itself: ahead.", 0, MAX_TIMESTAMP_MILLIS);
        let session = text("The `id` of a session of yours.").build();
        let sessions = list("The only sessions there are for it; null for all.", session);
        let sessions = sessions.schema_type(or_null(Type::Array));
        let spec = object("What a key is made with.")
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
    /// An example.
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
                fields.add_faults([Violation::new(pointer, "is none of read, send and manage")])
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

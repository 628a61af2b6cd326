//! The requests that create and change webhooks: each with its reader and the schema of the reader's
//! input.

use domain::{Backoff, MAX_ATTEMPTS, MAX_DELAY_SECONDS, RetryPolicyPatch, WebhookPatch};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

use super::example::example_is_sample;
use crate::{
    request::fields::Fields,
    wire::{
        schema::{flag, object, or_null, text, text_or_null},
        webhook_schema::{custom_headers, events_or_null, retry_policy, secret, url},
    },
};

/// The request to create a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSpec(pub WebhookPatch);

/// The change of a webhook, as a JSON merge patch: absent fields stay, null removes a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPatchSpec(pub WebhookPatch);

example_is_sample!(WebhookPatchSpec, WebhookSpec);

impl PartialSchema for WebhookSpec {
    fn schema() -> RefOr<Schema> {
        let value = text("").description(None::<String>);
        let spec = settable("The request to create a webhook.")
            .property("customHeaders", custom_headers(Type::Object, value))
            .required("url");
        RefOr::T(spec.build().into())
    }
}

impl PartialSchema for WebhookPatchSpec {
    fn schema() -> RefOr<Schema> {
        let value = text_or_null("").description(None::<String>);
        let about = "The change, as a JSON merge patch (RFC 7396): absent fields stay, null removes a value.";
        let headers = custom_headers(or_null(Type::Object), value);
        RefOr::T(settable(about).property("customHeaders", headers).build().into())
    }
}

impl ToSchema for WebhookSpec {}
impl ToSchema for WebhookPatchSpec {}

/// Returns the schema of the settings of both requests.
fn settable(about: &str) -> ObjectBuilder {
    let session =
        "The `id` of a session of your organization, whose events are sent; null for all events.";
    object(about)
        .property("url", url())
        .property("sessionId", text_or_null(session))
        .property("events", events_or_null())
        .property("active", flag("Whether events are sent. By default, they are."))
        .property(
            "ordered",
            flag("Whether a failing event holds back the later events of its session. By default, it does."),
        )
        .property("retryPolicy", retry_policy())
        .property("secret", secret())
}

impl WebhookSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({
            "url": "https://shop.example/hooks/whatsapp",
            "sessionId": null,
            "events": ["session.*", "auth.paired"],
            "active": true,
            "ordered": true,
            "customHeaders": { "X-Tenant": "7" },
            "retryPolicy": { "policy": "exponential", "delaySeconds": 2, "attempts": 15 },
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let url = fields.required_text("url");
        let headers = fields.texts("customHeaders");
        let headers = headers.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Self(WebhookPatch { url, headers, ..settings(fields) })
    }
}

impl WebhookPatchSpec {
    /// Returns an example.
    pub fn sample() -> Value {
        json!({
            "url": "https://shop.example/hooks/new",
            "events": null,
            "customHeaders": { "X-Tenant": null },
            "retryPolicy": { "attempts": 5 }
        })
    }

    pub(crate) fn read(fields: &mut Fields) -> Self {
        let url = if fields.has("url") { fields.required_text("url") } else { None };
        let headers = fields.texts_change("customHeaders");
        let clear_headers = headers.is_none();
        let headers = headers.unwrap_or_default();
        Self(WebhookPatch { url, headers, clear_headers, ..settings(fields) })
    }
}

/// Reads the fields that both requests share.
fn settings(fields: &mut Fields) -> WebhookPatch {
    let events = fields.list_change("events");
    WebhookPatch {
        session: fields.text_change("sessionId"),
        events: events.map(|events| events.map(|all| all.into_iter().map(|(_, it)| it).collect())),
        active: fields.flag("active"),
        ordered: fields.flag("ordered"),
        retry_policy: match fields.object_change("retryPolicy", read_policy) {
            None => RetryPolicyPatch::default(),
            Some(None) => RetryPolicyPatch { reset: true, ..RetryPolicyPatch::default() },
            Some(Some(policy)) => policy,
        },
        secret: fields.text_change("secret"),
        ..WebhookPatch::default()
    }
}

fn read_policy(fields: &mut Fields) -> RetryPolicyPatch {
    RetryPolicyPatch {
        reset: false,
        backoff: fields.choice("policy", Backoff::parse, &Backoff::ALL.map(Backoff::as_str)),
        delay_seconds: fields.number("delaySeconds", MAX_DELAY_SECONDS),
        attempts: fields.number("attempts", MAX_ATTEMPTS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut fields = Fields::parse(text.as_bytes());
        WebhookSpec::read(&mut fields);
        fields.finish().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn sample_is_read_as_it_is() {
        assert_eq!(faults(&WebhookSpec::sample().to_string()), [""; 0]);
        let mut fields = Fields::parse(WebhookPatchSpec::sample().to_string().as_bytes());
        let WebhookPatchSpec(patch) = WebhookPatchSpec::read(&mut fields);
        assert_eq!(fields.finish(), []);
        assert_eq!((patch.events, patch.session, patch.secret), (Some(None), None, None));
        assert_eq!(patch.headers, [("X-Tenant".to_owned(), None)].into());
        assert_eq!(patch.retry_policy.attempts, Some(5));
    }

    #[test]
    fn faults_of_nested_fields_have_their_whole_pointer() {
        let text = r#"{"url":7,"events":"*","customHeaders":{"a":1},"secret":1,"x":1,
            "retryPolicy":{"policy":"never","delaySeconds":0,"attempts":16,"y":1}}"#;
        let expected = [
            "/url",
            "/customHeaders/a",
            "/events",
            "/retryPolicy/policy",
            "/retryPolicy/delaySeconds",
            "/retryPolicy/attempts",
            "/retryPolicy/y",
            "/secret",
            "/x",
        ];
        assert_eq!(faults(text), expected);
        assert_eq!(faults("{}"), ["/url"]);
        assert_eq!(faults(r#"{"url":"x","retryPolicy":[]}"#), ["/retryPolicy"]);
    }

    #[test]
    fn null_removes_what_a_patch_names() {
        let text = r#"{"sessionId":null,"events":null,"customHeaders":null,"retryPolicy":null,"secret":null}"#;
        let mut fields = Fields::parse(text.as_bytes());
        let WebhookPatchSpec(patch) = WebhookPatchSpec::read(&mut fields);
        assert_eq!(fields.finish(), []);
        assert_eq!((&patch.session, &patch.events), (&Some(None), &Some(None)));
        assert!(patch.clear_headers && patch.retry_policy.reset && patch.secret == Some(None));
    }
}

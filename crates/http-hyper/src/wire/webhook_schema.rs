//! Parts of the schemas of webhooks.

use std::collections::BTreeSet;

use domain::{Backoff, EventName, MAX_ATTEMPTS, MAX_DELAY_SECONDS, MAX_EVENT_PATTERNS};
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type,
};

use crate::wire::schema::{self, list, object, or_null, text};

/// The URL of a webhook. Further rules apply to its host and port.
const URL: &str = "^[Hh][Tt][Tt][Pp][Ss]?://[!-~]{1,2000}$";
const SECRET: &str = "^[!-~]{24,256}$";
const HEADER_NAME: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$";
const HEADER_VALUE: &str = "^([!-~]([\\t -~]{0,1022}[!-~])?)?$";
const MAX_HEADERS: usize = 20;

/// Returns every name, prefix and `*` that selects kinds of events.
fn event_patterns() -> Vec<String> {
    let mut all = BTreeSet::from(["*".to_owned()]);
    for name in EventName::ALL.map(EventName::as_str) {
        all.insert(name.to_owned());
        let dots = name.match_indices('.').map(|(at, _)| &name[..at]);
        all.extend(dots.chain([name]).map(|prefix| format!("{prefix}.*")));
    }
    all.into_iter().collect()
}

fn event_pattern() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .enum_values(Some(event_patterns()))
        .build()
        .into()
}

/// Returns the schema of the kinds of events of a webhook.
pub(crate) fn events() -> Array {
    list("The kinds of events.", event_pattern()).build()
}

/// Returns the schema of the kinds of events in a request.
pub(crate) fn events_or_null() -> ArrayBuilder {
    let about =
        "The kinds of events: names, prefixes such as `session.*`, or `*` for all. Null for all.";
    list(about, event_pattern())
        .schema_type(or_null(Type::Array))
        .min_items(Some(1))
        .max_items(Some(MAX_EVENT_PATTERNS))
}

pub(crate) fn backoff() -> Schema {
    schema::enumeration("How the delay grows.", &Backoff::ALL.map(Backoff::as_str))
}

/// Returns the schema of a retry policy in a request.
pub(crate) fn retry_policy() -> ObjectBuilder {
    let number = |about: &str, most: u32| {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Integer))
            .minimum(Some(1))
            .maximum(Some(most))
            .description(Some(about))
    };
    object("When and how often a failed delivery is repeated. Null for the default policy.")
        .schema_type(or_null(Type::Object))
        .property("policy", backoff())
        .property(
            "delaySeconds",
            number("The delay after the first failure, in seconds.", MAX_DELAY_SECONDS),
        )
        .property(
            "attempts",
            number("The number of attempts after which an event is a dead letter.", MAX_ATTEMPTS),
        )
}

pub(crate) fn url() -> ObjectBuilder {
    let about = "The URL that gets the events: http or https, without user name and fragment. The host \
                 is a name or an address; private addresses need the permission of the operator.";
    text(about).pattern(Some(URL))
}

pub(crate) fn secret() -> ObjectBuilder {
    let about = "The signing secret; no response contains it. Null for requests without signature.";
    text(about).schema_type(or_null(Type::String)).pattern(Some(SECRET))
}

/// Returns the schema of headers in a request. `value` is the schema of a value.
pub(crate) fn custom_headers(kind: impl Into<SchemaType>, value: ObjectBuilder) -> ObjectBuilder {
    let name = ObjectBuilder::new().schema_type(SchemaType::AnyValue).pattern(Some(HEADER_NAME));
    let about = "Headers for each request, at most 8,000 bytes together. Headers of the connection and those of \
                 berth (`webhook-*`, `x-webhook-*`) cannot be set. `***` keeps the value of a sensitive header.";
    ObjectBuilder::new()
        .schema_type(kind)
        .description(Some(about))
        .property_names(Some(name.build()))
        .max_properties(Some(MAX_HEADERS))
        .additional_properties(Some(AdditionalProperties::from(value.pattern(Some(HEADER_VALUE)))))
}

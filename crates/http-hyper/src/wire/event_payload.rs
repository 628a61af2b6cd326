//! Schemas of the payloads of events, made from the domain's table of events.

use domain::{EventFieldShape, EventFieldSpec, EventFieldType, EventName};
use serde_json::{Map, Value, json};

/// Name of the schema of every payload.
pub(crate) const ANY_PAYLOAD: &str = "EventPayload";

/// Returns the name of the schema of a kind's payload: `SessionCreatedPayload` for
/// `session.created`.
fn schema_name(name: EventName) -> String {
    let words = name.as_str().split(['.', '_']);
    let capitalized = words.map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{}{rest}", first.to_uppercase())
    });
    format!("{}Payload", capitalized.collect::<String>())
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Returns the schemas of all payloads with their names.
pub(crate) fn schemas() -> impl Iterator<Item = (String, Value)> {
    let each = EventName::ALL.map(|name| (schema_name(name), payload(name)));
    let all = EventName::ALL.map(|name| reference(&schema_name(name)));
    let any = json!({ "description": "The facts of an event, by its kind.", "anyOf": all });
    each.into_iter().chain([(ANY_PAYLOAD.to_owned(), any)])
}

/// Adds the kind of each payload to the schema of an event.
pub(crate) fn with_payloads(mut event: Value) -> Value {
    let conditions = EventName::ALL.map(|name| {
        json!({
            "if": {
                "properties": { "event": { "const": name.as_str(), "description": "The kind." } },
            },
            "then": { "properties": { "payload": reference(&schema_name(name)) } },
        })
    });
    event["allOf"] = json!(conditions);
    event
}

/// Returns the schema of a kind's payload. A later version may add fields.
fn payload(name: EventName) -> Value {
    let mut schema = object(&name.fields());
    schema["title"] = name.as_str().into();
    schema["description"] = name.description().into();
    schema
}

fn object(fields: &[EventFieldSpec]) -> Value {
    let required = fields.iter().filter(|field| !field.shape.optional);
    let required: Vec<_> = required.map(|field| field.name).collect();
    let properties: Map<_, _> =
        fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
    })
}

fn property(field: &EventFieldSpec) -> Value {
    let EventFieldShape { value, nullable, .. } = &field.shape;
    let mut schema = match value {
        EventFieldType::Text => json!({ "type": "string" }),
        EventFieldType::Count => json!({ "type": "integer", "minimum": 0 }),
        EventFieldType::Time => json!({ "type": "integer", "format": "int64" }),
        EventFieldType::Flag => json!({ "type": "boolean" }),
        EventFieldType::Range(least, most) => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        EventFieldType::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        EventFieldType::Object(fields) => object(fields),
        EventFieldType::OneOf(names) => json!({ "type": "string", "enum": names }),
        EventFieldType::SomeOf(names) => {
            let one = names.join("|");
            json!({ "type": "string", "pattern": format!("^({one})( ({one}))*$") })
        }
    };
    if *nullable {
        schema["type"] = json!([schema["type"], "null"]);
        if let Some(names) = schema.get_mut("enum").and_then(Value::as_array_mut) {
            names.push(Value::Null);
        }
    }
    schema["description"] = field.description.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_names_are_in_camel_case() {
        assert_eq!(schema_name(EventName::SessionCreated), "SessionCreatedPayload");
        assert_eq!(schema_name(EventName::ApiKeyRevoked), "ApiKeyRevokedPayload");
        let mut names: Vec<_> = schemas().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), EventName::ALL.len() + 1);
    }

    #[test]
    fn nullable_and_optional_fields_are_marked() {
        let status = payload(EventName::SessionStatus);
        assert_eq!(status["required"], json!(["status", "reason", "message"]));
        assert_eq!(status["properties"]["message"]["type"], json!(["string", "null"]));
        assert_eq!(status["properties"]["unlink"]["type"], "string");
        let reasons = status["properties"]["reason"]["enum"].as_array().unwrap();
        assert!(reasons.contains(&Value::Null) && reasons.contains(&json!("banned")));
    }
}

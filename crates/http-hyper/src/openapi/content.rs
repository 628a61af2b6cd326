//! The content of a response: schemas and examples by media type.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    failure::Failure,
    operation_doc::{Content, ResponseDoc},
};

const JSON: &str = "application/json";

/// The schemas and examples of one media type.
#[derive(Default)]
struct Media {
    schemas: Vec<Value>,
    examples: Map<String, Value>,
}

/// Returns the content of the responses and failures with one status.
pub(super) fn of(answers: &[&ResponseDoc], failures: &[&Failure]) -> Value {
    let mut media: BTreeMap<&str, Media> = BTreeMap::new();
    for shown in answers.iter().flat_map(|answer| answer.content) {
        match shown {
            Content::Json(shape) => {
                let name = (shape.name)();
                let example = Some((&*name, (shape.example)()));
                media.entry(JSON).or_default().add(reference(&name), example);
            }
            Content::Text(kind, begins) => {
                let example = Some(("Beginning", json!(begins)));
                media.entry(kind).or_default().add(json!({ "type": "string" }), example);
            }
            Content::Bytes(kind) => {
                media.entry(kind).or_default().add(json!({ "contentMediaType": kind }), None);
            }
        }
    }
    for failure in failures {
        let example = Some((failure.name, failure.example()));
        media.entry(JSON).or_default().add(reference("Error"), example);
    }
    let into_value = media.into_iter().map(|(kind, media)| (kind.to_owned(), media.into_value()));
    Value::Object(into_value.collect())
}

/// Returns a reference to a schema of the document.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

impl Media {
    fn add(&mut self, schema: Value, example: Option<(&str, Value)>) {
        if !self.schemas.contains(&schema) {
            self.schemas.push(schema);
        }
        let example = example.map(|(name, value)| (name.to_owned(), json!({ "value": value })));
        self.examples.extend(example);
    }

    fn into_value(mut self) -> Value {
        let schema = match self.schemas.len() {
            1 => self.schemas.remove(0),
            _ => json!({ "anyOf": self.schemas }),
        };
        if self.examples.is_empty() {
            return json!({ "schema": schema });
        }
        json!({ "schema": schema, "examples": self.examples })
    }
}

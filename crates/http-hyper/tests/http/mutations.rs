//! Mutations of a valid value at the bounds of its schema.

use serde_json::{Map, Value, json};

/// A mutated value.
pub(crate) struct Tried {
    pub(crate) value: Value,
    /// Whether the schema allows the value, where the mutation decides this.
    pub(crate) expected: Option<bool>,
}

impl Tried {
    pub(crate) fn good(value: Value) -> Self {
        Self { value, expected: Some(true) }
    }

    fn bad(value: Value) -> Self {
        Self { value, expected: Some(false) }
    }

    fn any(value: Value) -> Self {
        Self { value, expected: None }
    }
}

/// Unusual texts.
pub(crate) const NASTY: [&str; 21] = [
    "",
    " ",
    "x",
    "0",
    "007",
    "1.5",
    "-1",
    "+5",
    "1e2",
    "null",
    "true",
    "\0",
    "a\0b",
    "a\nb",
    "1234567\n",
    "\u{7f}",
    "\u{85}",
    "ü",
    "１２３４５６７",
    "😀",
    "123456789012345678901234567890",
];

/// Returns mutations of `sample`, which `schema` allows.
pub(crate) fn of(schema: &Value, sample: &Value) -> Vec<Tried> {
    let mut tried = wrong_types();
    if let Some(known) = schema["enum"].as_array() {
        tried.extend(known.iter().cloned().map(Tried::good));
    }
    match sample {
        Value::Object(members) => tried.extend(of_object(schema, members)),
        Value::Array(items) => tried.extend(of_list(schema, items)),
        Value::String(_) => tried.extend(of_text(schema)),
        Value::Number(_) => tried.extend(of_number(schema)),
        _ => {}
    }
    tried
}

/// Returns one value of each JSON type.
fn wrong_types() -> Vec<Tried> {
    let kinds = [
        json!(null),
        json!(true),
        json!(7),
        json!(-7),
        json!(1.5),
        json!("text"),
        json!([]),
        json!({}),
    ];
    kinds.into_iter().map(Tried::any).collect()
}

fn of_text(schema: &Value) -> Vec<Tried> {
    let mut tried: Vec<_> = NASTY.iter().map(|text| Tried::any(json!(text))).collect();
    if let Some(most) = size(schema, "maxLength") {
        // Lengths are in characters, not bytes.
        tried.push(Tried::good(json!("ü".repeat(most))));
        tried.push(Tried::bad(json!("x".repeat(most + 1))));
    }
    if let Some(least) = size(schema, "minLength") {
        tried.push(Tried::good(json!("x".repeat(least))));
        tried.push(Tried::bad(json!("x".repeat(least - 1))));
    }
    if schema["pattern"].is_string() {
        tried.extend((0..40).map(|length| Tried::any(json!("1".repeat(length)))));
    }
    tried
}

fn of_number(schema: &Value) -> Vec<Tried> {
    let mut tried = Vec::new();
    for (bound, beyond) in [("minimum", -1), ("maximum", 1)] {
        if let Some(edge) = schema[bound].as_i64() {
            tried.push(Tried::good(json!(edge)));
            tried.push(Tried::bad(json!(edge + beyond)));
        }
    }
    tried.extend(
        [json!(u64::MAX), json!(i64::MIN), json!(1e300), json!(2.0), json!(0.5)].map(Tried::any),
    );
    tried
}

fn of_list(schema: &Value, items: &[Value]) -> Vec<Tried> {
    let first = &items[0];
    let of_length = |length: usize| json!(vec![first; length]);
    let mut tried = vec![Tried::any(of_length(2))];
    if let Some(most) = size(schema, "maxItems") {
        tried.push(Tried::good(of_length(most)));
        tried.push(Tried::bad(of_length(most + 1)));
    }
    if let Some(least) = size(schema, "minItems") {
        tried.push(Tried::good(of_length(least)));
        tried.push(Tried::bad(of_length(least - 1)));
    }
    let within = of(&schema["items"], first).into_iter();
    tried.extend(within.map(|one| Tried { value: json!([first, one.value]), ..one }));
    tried
}

fn of_object(schema: &Value, members: &Map<String, Value>) -> Vec<Tried> {
    let mut tried = Vec::new();
    let with = |name: &str, value: Value| {
        let mut changed = members.clone();
        changed.insert(name.to_owned(), value);
        Value::Object(changed)
    };
    for name in members.keys() {
        let mut without = members.clone();
        without.remove(name);
        let required = schema["required"].as_array();
        let required = required.is_some_and(|names| names.contains(&json!(name)));
        tried.push(Tried { value: Value::Object(without), expected: Some(!required) });
    }
    for (name, known) in schema["properties"].as_object().into_iter().flatten() {
        let sample = members.get(name).filter(|sample| !sample.is_null());
        let sample = sample.cloned().unwrap_or_else(|| sample_of(known));
        let within = of(known, &sample).into_iter();
        tried.extend(within.map(|one| Tried { value: with(name, one.value), ..one }));
    }
    if schema["additionalProperties"] == false {
        tried.extend(["unknown", "", "a/b~c"].map(|name| Tried::bad(with(name, json!(1)))));
    } else if schema["additionalProperties"].is_object() {
        tried.extend(of_map(schema, with));
    }
    tried
}

/// Mutates an object with arbitrary member names.
fn of_map(schema: &Value, with: impl Fn(&str, Value) -> Value) -> Vec<Tried> {
    let values = of(&schema["additionalProperties"], &json!("text")).into_iter();
    let mut tried: Vec<_> =
        values.map(|one| Tried { value: with("k", one.value), ..one }).collect();
    let names = of_text(&schema["propertyNames"]).into_iter();
    tried.extend(names.map(|one| {
        let value = with(one.value.as_str().unwrap(), json!("v"));
        Tried { value, ..one }
    }));
    let of_size = |size| (0..size).map(|n| (format!("k{n}"), json!("v"))).collect::<Map<_, _>>();
    if let Some(most) = size(schema, "maxProperties") {
        tried.push(Tried::good(Value::Object(of_size(most))));
        tried.push(Tried::bad(Value::Object(of_size(most + 1))));
    }
    tried
}

/// Returns a value that the schema allows, for an absent member of the sample.
fn sample_of(schema: &Value) -> Value {
    let kinds = schema["type"].to_string();
    if kinds.contains("integer") {
        schema["minimum"].clone()
    } else if kinds.contains("boolean") {
        json!(true)
    } else {
        json!("text")
    }
}

fn size(schema: &Value, bound: &str) -> Option<usize> {
    schema[bound].as_u64().map(|size| usize::try_from(size).unwrap())
}

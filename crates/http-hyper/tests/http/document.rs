//! The OpenAPI document by itself: current, complete and consistent. `conformity.rs` checks
//! responses against the document, `schema_bounds.rs` requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use http_hyper::{api::operations, openapi};
use serde_json::Value;

use crate::conformity::{DOCUMENT, assert_valid, operation, resolved};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
const API_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");

#[test]
fn document_is_as_blessed() {
    let now = openapi::text();
    if std::env::var_os("BLESS").is_some() {
        fs::write(FILE, &now).unwrap();
    }
    let blessed = fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        now == blessed,
        "docs/openapi.json is not what the table says now; `cargo xtask bless` writes it anew"
    );
}

/// Returns each value of the document with its JSON pointer.
fn each(value: &'static Value, at: &str, see: &mut impl FnMut(&str, &'static Value)) {
    see(at, value);
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                each(member, &format!("{at}/{name}"), see);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each(item, &format!("{at}/{index}"), see);
            }
        }
        _ => {}
    }
}

fn text<'a>(value: &'a Value, about: &str) -> &'a str {
    let text = value.as_str().unwrap_or_default();
    assert!(!text.trim().is_empty(), "{about} says nothing");
    text
}

#[test]
fn each_operation_is_documented() {
    let tags: Vec<_> = DOCUMENT["tags"].as_array().unwrap().iter().map(|t| &t["name"]).collect();
    let mut count = 0;
    for row in operations() {
        let said = operation(row);
        assert_eq!(said["operationId"], row.name);
        let summary = text(&said["summary"], row.name);
        assert!(summary.len() <= 60 && !summary.ends_with('.'), "{summary} is no headline");
        text(&said["description"], row.name);
        let alike = operations().filter(|other| std::ptr::eq(other.doc, row.doc)).count();
        assert_eq!(alike, 1, "{row:?} has the words of another row");
        assert!(said["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag)), "{row:?}");
        let secured = !said["security"].as_array().unwrap().is_empty();
        assert_eq!(secured, row.requires.has_caller(), "{row:?}");
        count += 1;
    }
    let paths = DOCUMENT["paths"].as_object().unwrap().values();
    assert_eq!(paths.map(|path| path.as_object().unwrap().len()).sum::<usize>(), count);
}

#[test]
fn parameters_of_the_document_match_the_operations() {
    for row in operations() {
        let parameters = operation(row)["parameters"].as_array().unwrap();
        let mut named = BTreeSet::new();
        for parameter in parameters {
            assert!(
                !parameter.is_null(),
                "{row:?} has a query parameter that openapi/parameters.rs does not know"
            );
            let parameter = resolved(parameter);
            let name = parameter["name"].as_str().unwrap();
            text(&parameter["description"], name);
            // A cursor has no example, because cursors are signed.
            let example = &parameter["schema"]["examples"][0];
            assert_eq!(example.is_null(), name == "cursor", "{name} shows no example");
            if !example.is_null() {
                assert_valid(&parameter["schema"], example, name);
            }
            assert!(
                named.insert((parameter["in"].as_str().unwrap(), name)),
                "{row:?}: {name} twice"
            );
        }
        let in_path = |(place, _): &&(&str, &str)| *place == "path";
        let in_template = row.path.matches('{').count();
        assert_eq!(named.iter().filter(in_path).count(), in_template, "{row:?}");
        for (_, name) in named.iter().filter(in_path) {
            assert!(row.path.contains(&format!("{{{name}}}")), "{row:?} has no {name}");
        }
    }
}

#[test]
fn responses_and_bodies_have_schemas_with_valid_examples() {
    for row in operations() {
        let said = operation(row);
        let responses = said["responses"].as_object().unwrap();
        let others = ["101", "302", "303"];
        let succeeds =
            |status: &String| status.starts_with('2') || others.contains(&status.as_str());
        assert!(responses.keys().any(succeeds), "{row:?} never succeeds");
        for (status, response) in responses {
            let response = resolved(response);
            let about = format!("{row:?} {status}");
            text(&response["description"], &about);
            assert!(response["headers"]["X-Request-Id"].is_object(), "{about} has no request id");
            let bare = ["101", "204", "302", "303", "304"].contains(&status.as_str());
            assert_eq!(response["content"].is_null(), bare, "{about}");
            for (kind, media) in response["content"].as_object().into_iter().flatten() {
                let examples: Vec<_> =
                    media["examples"].as_object().into_iter().flatten().collect();
                assert_eq!(examples.is_empty(), kind == "image/png", "{about} {kind}");
                for (name, example) in examples {
                    assert_valid(&media["schema"], &example["value"], &format!("{about} {name}"));
                }
            }
        }
        for media in said["requestBody"]["content"].as_object().into_iter().flatten() {
            assert_valid(&media.1["schema"], &media.1["example"], row.name);
        }
    }
}

#[test]
fn document_references_resolve_and_components_are_used() {
    let (mut spec, mut there) = (BTreeSet::new(), BTreeSet::new());
    each(&DOCUMENT, "", &mut |at, value| {
        if let Some(reference) = value["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(DOCUMENT.pointer(pointer).is_some(), "{at} leads to no {reference}");
            spec.insert(pointer.to_owned());
        }
        if at.starts_with("/components/") && at.matches('/').count() == 3 {
            there.insert(at.to_owned());
        }
        if let Some(name) = value["operationId"].as_str() {
            assert!(operations().any(|row| row.name == name), "{at} names {name}");
        }
        assert!(value["default"].is_null() || at.contains("/schema"), "{at}");
    });
    there.retain(|part| !part.starts_with("/components/securitySchemes/"));
    assert_eq!(there, spec, "unused or missing parts");
    let schemes = DOCUMENT["components"]["securitySchemes"].as_object().unwrap();
    let asked = operations().flat_map(|row| operation(row)["security"].as_array().unwrap());
    let asked: Vec<_> = asked.flat_map(|one| one.as_object().unwrap().keys()).collect();
    assert!(schemes.keys().all(|name| asked.contains(&name)), "{asked:?}");
}

#[test]
fn every_field_is_described() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        text(&schema["description"], name);
    }
    each(&DOCUMENT["components"]["schemas"], "", &mut |at, value| {
        // The condition of a schema (`if`) names fields that are described beside it.
        if at.ends_with("/properties") && !at.ends_with("/if/properties") {
            for (name, field) in value.as_object().unwrap() {
                let referred = field["$ref"].is_string() || field["oneOf"].is_array();
                assert!(referred || field["description"].is_string(), "{at}/{name} says nothing");
            }
        }
    });
}

/// Returns each error code of the examples with its statuses.
fn codes() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut codes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for row in operations() {
        for (status, response) in operation(row)["responses"].as_object().unwrap() {
            let examples =
                resolved(response)["content"]["application/json"]["examples"].as_object();
            for example in examples.into_iter().flat_map(|examples| examples.values()) {
                if let Some(code) = example["value"]["error"]["code"].as_str() {
                    codes.entry(code).or_default().insert(status.as_str());
                }
            }
        }
    }
    codes
}

#[test]
fn each_error_code_has_one_status_and_is_documented() {
    let shown = codes();
    for (code, statuses) in &shown {
        assert_eq!(statuses.len(), 1, "{code}: {statuses:?}");
    }
    let known =
        &DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"];
    let known: BTreeSet<_> =
        known["enum"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    // No operation documents 405: a listed method is allowed.
    let shown: BTreeSet<_> = shown.into_keys().chain(["method_not_allowed"]).collect();
    assert_eq!(shown, known);
    let page = fs::read_to_string(API_PAGE).unwrap();
    let (_, table) = page.split_once("| code | status | when |").unwrap();
    let lines = table.lines().skip(2).map_while(|line| line.strip_prefix("| `"));
    let written: BTreeSet<_> = lines.filter_map(|line| line.split('`').next()).collect();
    assert_eq!(written, known, "docs/api.md lists other codes");
}

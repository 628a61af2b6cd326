//! Properties of the readers of this crate for arbitrary bytes. The fuzz targets in `fuzz/` check
//! them with millions of inputs, the tests of this crate with a few. A violated property panics.

use std::collections::BTreeMap;

use domain::{OrganizationId, Settings, Timestamp, Version};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::Value;

use crate::{
    idempotency::{IDEMPOTENCY_KEY, IdempotencyKey},
    request::{
        conditions::{IfMatch, IfNoneMatch},
        cursor::{self, CursorPosition, CursorSigner},
        fields::Fields,
        negotiate,
        query::Query,
    },
    response::{etag::entity_tag, reply::Reply},
    wire::{ApiKeySpec, MessageSpec, PairingCodeSpec, SessionPageSpec, SessionPatch, SessionSpec},
};

/// The parameters of a list.
const PARAMETERS: [&str; 6] = ["limit", "cursor", "status", "label", "gatewayId", "phoneNumber"];
const OFFERS: [&str; 3] = ["application/json", "image/svg+xml", "image/png"];

/// A cursor that decodes was issued by the program, in this spelling, and for this list only.
pub fn cursor(data: &[u8]) {
    let acme = OrganizationId::parse("acme");
    let cursor_signer = CursorSigner::new(&[7; 32]);
    let (mine, other) =
        (cursor_signer.list("sessions", acme.as_ref()), cursor_signer.list("keys", acme.as_ref()));
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(place) = cursor::decode(&mine, text)
    {
        assert_eq!(cursor::encode(&mine, place), text, "one cursor, one spelling");
    }
    let mut bytes = [0; 24];
    bytes.iter_mut().zip(data).for_each(|(byte, given)| *byte = *given);
    let (first, rest) = bytes.split_at(8);
    let created_at = first.try_into().map_or(0, i64::from_be_bytes);
    let bits = rest.try_into().map_or(0, u128::from_be_bytes);
    let place = CursorPosition { created_at: Timestamp::from_millis(created_at), bits };
    let text = cursor::encode(&mine, place);
    assert_eq!(cursor::decode(&mine, &text), Some(place), "what we wrote is read");
    assert_eq!(cursor::decode(&other, &text), None, "and by no other list");
}

/// A query is read or has faults, each of which names a parameter; both encodings of a space are
/// equal.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = |text: &str| {
        let mut query = Query::parse(text, &PARAMETERS);
        let list =
            CursorSigner::new(&[7; 32]).list("sessions", OrganizationId::parse("acme").as_ref());
        let page = SessionPageSpec::read(&mut query, list).spec();
        (page, query.finish())
    };
    let (page, faults) = read(text);
    for fault in &faults {
        assert!(!fault.field.is_empty() && !fault.field.starts_with('/'), "{fault:?}");
    }
    if let Some(spec) = &page {
        assert!((2..=201).contains(&spec.limit), "{spec:?}");
    }
    let (same, others) = read(&text.replace('+', "%20"));
    assert_eq!((page, faults.len()), (same, others.len()), "a space is a space");
}

/// A body is read or has faults, each of which points into the body; the values read equal the
/// body.
pub fn body(data: &[u8]) {
    let document = document(data);
    let mut fields = Fields::parse(data);
    let spec = SessionSpec::read(&mut fields);
    let faults = checked(fields, document.as_ref());
    if faults == 0 && !data.is_empty() {
        let Some(document) = &document else { panic!("read, and it is no JSON") };
        let settings = spec.settings;
        assert!(settings.violations().is_empty());
        assert_eq!(settings.label.as_deref(), document["label"].as_str());
        assert_eq!(settings.auto_read, document["autoRead"].as_bool().unwrap_or_default());
        assert_eq!(settings.rate_per_min.map(f64::from), document["ratePerMin"].as_f64());
        assert_eq!(spec.start, document["start"].as_bool().unwrap_or_default());
        assert_eq!(
            metadata(&settings),
            document["metadata"].as_object().cloned().unwrap_or_default()
        );
    }
    let now = Timestamp::from_millis(1_767_254_400_000);
    let mut fields = Fields::parse(data);
    let key = ApiKeySpec::read(&mut fields, now);
    if checked(fields, document.as_ref()) == 0 {
        assert!(key.key.violations(now).is_empty() && key.pointers.len() <= 100);
    }
    let mut fields = Fields::parse(data);
    let message = MessageSpec::read(&mut fields, now).message;
    if checked(fields, document.as_ref()) == 0 {
        assert!(message.is_some_and(|message| message.violations(now).is_empty()));
    }
    let mut fields = Fields::parse(data);
    PairingCodeSpec::read(&mut fields);
    checked(fields, document.as_ref());
}

/// A patch has the result of RFC 7396 and is idempotent.
pub fn patch(data: &[u8]) {
    let document = document(data);
    let mut fields = Fields::parse(data);
    let patch = SessionPatch::read(&mut fields).settings;
    if checked(fields, document.as_ref()) > 0 || data.is_empty() {
        return;
    }
    let Some(document) = document else { panic!("read, and it is no JSON") };
    let before = Settings {
        label: Some("before".to_owned()),
        auto_read: true,
        rate_per_min: Some(7),
        metadata: [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Settings::default()
    };
    let idempotent_request = before.clone().patched(patch.clone());
    assert_eq!(idempotent_request.clone().patched(patch), idempotent_request, "twice is once");
    let mut if_match = settings_json(&before);
    merge(&mut if_match, &document);
    // Absent settings have their default.
    let there = |name: &str| if_match.get(name).filter(|value| !value.is_null());
    assert_eq!(idempotent_request.label.as_deref(), there("label").and_then(Value::as_str));
    assert_eq!(Some(idempotent_request.auto_read), there("autoRead").and_then(Value::as_bool));
    assert_eq!(
        Some(idempotent_request.presence_typing),
        there("presenceTyping").and_then(Value::as_bool)
    );
    assert_eq!(
        idempotent_request.rate_per_min.map(f64::from),
        there("ratePerMin").and_then(Value::as_f64)
    );
    assert_eq!(
        idempotent_request.rate_per_hour.map(f64::from),
        there("ratePerHour").and_then(Value::as_f64)
    );
    let if_match = there("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    assert_eq!(metadata(&idempotent_request), if_match);
}

/// A list of tags yields exactly the versions in it, and 304 needs a listed version.
pub fn conditions(data: &[u8]) {
    let if_match = IfMatch::read(&headers(&header::IF_MATCH, data));
    if let Some(IfMatch::OneOf(versions)) = &if_match {
        for version in versions {
            let quoted = format!("\"{version}\"");
            let idempotency_key =
                data.windows(quoted.len()).any(|window| window == quoted.as_bytes());
            assert!(idempotency_key, "{version} is not in there");
        }
        let list: Vec<_> = versions.iter().map(|version| format!("\"{version}\"")).collect();
        let again = IfMatch::read(&headers(&header::IF_MATCH, list.join(", ").as_bytes()));
        assert!(versions.is_empty() || again == if_match, "what it means is read alike");
    }
    let known = IfNoneMatch::read(&headers(&header::IF_NONE_MATCH, data));
    let versions = match &if_match {
        Some(IfMatch::OneOf(versions)) => versions.clone(),
        _ => Vec::new(),
    };
    for version in versions.into_iter().chain([Version(7)]) {
        let reply = Reply::of(StatusCode::OK, "application/json", "{}");
        let reply = known.apply(reply.with(header::ETAG, entity_tag(version)));
        let spared = reply.status == StatusCode::NOT_MODIFIED;
        assert_eq!(reply.body.is_empty(), spared);
        match &if_match {
            None => assert!(!spared, "what is malformed says nothing"),
            Some(IfMatch::OneOf(versions)) if versions.contains(&version) => assert!(spared),
            _ => {}
        }
    }
}

/// The chosen type is an offered one; repetition and upper case of `Accept` change nothing.
pub fn accept(data: &[u8]) {
    let idempotent_request = headers(&header::ACCEPT, data);
    let chosen = negotiate::choose(&idempotent_request, &OFFERS);
    assert!(OFFERS.contains(&chosen));
    let mut twice = idempotent_request.clone();
    twice.extend(idempotent_request.iter().map(|(name, value)| (name.clone(), value.clone())));
    assert_eq!(negotiate::choose(&twice, &OFFERS), chosen, "twice is once");
    let louder = headers(&header::ACCEPT, &data.to_ascii_uppercase());
    assert_eq!(negotiate::choose(&louder, &OFFERS), chosen, "capitals are letters");
}

/// An idempotency key is visible and short, and reading is idempotent.
pub fn idempotency_key(data: &[u8]) {
    if let IdempotencyKey::Given(name) = IdempotencyKey::read(&headers(&IDEMPOTENCY_KEY, data)) {
        assert!(
            (1..=255).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
        );
        let again = IdempotencyKey::read(&headers(&IDEMPOTENCY_KEY, name.as_bytes()));
        assert_eq!(again, IdempotencyKey::Given(name));
    }
}

/// Returns headers of one name, one for each line.
fn headers(name: &HeaderName, data: &[u8]) -> HeaderMap {
    let values = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = values.filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (name.clone(), value)).collect()
}

/// Returns the value by another JSON reader.
fn document(data: &[u8]) -> Option<Value> {
    serde_json::from_slice(data).ok()
}

/// Returns the number of faults; checks that each points at an existing value, or at a missing
/// member of one.
fn checked(fields: Fields, document: Option<&Value>) -> usize {
    let faults = fields.finish();
    let repeated = faults.iter().any(|fault| fault.reason == "given more than once");
    for fault in &faults {
        let pointer = fault.field.as_str();
        let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        assert!(pointer.is_empty() || (pointer.starts_with('/') && escapes), "{fault:?}");
        // The other reader keeps the last of two equal keys.
        if let (Some(document), Some((parent, _)), false) =
            (document, pointer.rsplit_once('/'), repeated)
        {
            assert!(document.pointer(parent).is_some(), "{fault:?} points nowhere in {document}");
        }
    }
    faults.len()
}

fn metadata(settings: &Settings) -> serde_json::Map<String, Value> {
    let metadata: &BTreeMap<_, _> = &settings.metadata;
    metadata.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
}

fn settings_json(settings: &Settings) -> Value {
    serde_json::json!({
        "label": settings.label, "autoRead": settings.auto_read,
        "presenceTyping": settings.presence_typing, "ratePerMin": settings.rate_per_min,
        "ratePerHour": settings.rate_per_hour, "metadata": metadata(settings),
    })
}

/// Applies a patch as in RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Generates input close to what each property reads.
    fn close() -> impl Strategy<Value = Vec<u8>> {
        let text = |pattern: &'static str| pattern.prop_map(String::into_bytes);
        prop_oneof![
            vec(any::<u8>(), 0..200),
            text(
                r#"\{("(label|autoRead|ratePerMin|metadata|x/~y|start|name)":(null|true|7|0|"a"|\{"a/~":"b","c":null\}|\[1\]),){0,3}"phone":"1"\}"#
            ),
            text(r#"\{"(label|metadata|ratePerHour)":(null|"a"|5|\{"a":null,"b":"c"\})\}"#),
            text("((limit|status|label|cursor|x)=(5|working|a\\+b|%20|%ff|)&?){0,4}"),
            text("(W/)?\"[0-9]{0,3}\"(, ?\"7\"){0,2}(\n\\*)?"),
            text("((image|text|\\*)/(png|svg\\+xml|\\*)(;q=(0|1|0\\.[0-9]{1,4}))?,? ?){0,4}"),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn properties_hold_for_plausible_input(data in close()) {
            for property in [cursor, query, body, patch, conditions, accept, idempotency_key] {
                property(&data);
            }
        }
    }
}

//! Bodies that are wrong, each with the fields its refusal must name.

use serde_json::json;

/// A body for making a session, and the JSON pointers that must be named; none when it is no object
/// with fields to name.
pub(super) struct BadBody {
    pub(super) name: &'static str,
    pub(super) body: Vec<u8>,
    pub(super) fields: &'static [&'static str],
}

fn bad(name: &'static str, body: impl Into<Vec<u8>>, fields: &'static [&'static str]) -> BadBody {
    BadBody { name, body: body.into(), fields }
}

/// Bodies for making a session.
pub(super) fn for_a_session() -> Vec<BadBody> {
    let long = |length| "x".repeat(length);
    let many: serde_json::Map<_, _> = (0..21).map(|n| (format!("k{n}"), json!("v"))).collect();
    vec![
        bad("cut off", r#"{"label": "a"#, &[]),
        bad("no JSON", "label=a", &[]),
        bad("followed by more", r#"{"label":"a"} {"label":"b"}"#, &[]),
        bad("not UTF-8", b"{\"label\":\"\xff\xfe\"}", &[]),
        bad("half a surrogate", r#"{"label":"\ud800"}"#, &[]),
        bad("an array", "[]", &[]),
        bad("a number", "7", &[]),
        bad("a string", r#""label""#, &[]),
        bad("deep", format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)), &[]),
        bad("deep objects", r#"{"metadata":"#.repeat(4_000), &[]),
        bad("a number beyond numbers", r#"{"ratePerMin":1e999}"#, &[]),
        bad("an unknown field", r#"{"nope":1}"#, &["/nope"]),
        bad("two unknown fields", r#"{"nope":1,"label":"a","never":2}"#, &["/nope", "/never"]),
        bad("an odd field name", r#"{"a/b~c":1}"#, &["/a~1b~0c"]),
        bad(
            "a read-only field",
            r#"{"id":"sess_1","organizationId":"x"}"#,
            &["/id", "/organizationId"],
        ),
        bad(
            "wrong types",
            r#"{"label":7,"autoRead":"yes","presenceTyping":1,"ratePerMin":"9","metadata":[],"start":0}"#,
            &["/label", "/autoRead", "/presenceTyping", "/ratePerMin", "/metadata", "/start"],
        ),
        bad(
            "wrong kinds of fault at once",
            r#"{"label":7,"nope":1,"ratePerMin":0}"#,
            &["/label", "/nope"],
        ),
        bad(
            "a negative rate",
            r#"{"ratePerMin":-1,"ratePerHour":-9}"#,
            &["/ratePerMin", "/ratePerHour"],
        ),
        bad("a broken rate", r#"{"ratePerMin":1.5}"#, &["/ratePerMin"]),
        bad("no rate", r#"{"ratePerMin":0}"#, &["/ratePerMin"]),
        bad("a huge rate", r#"{"ratePerHour":18446744073709551616}"#, &["/ratePerHour"]),
        bad("a long label", json!({ "label": long(101) }).to_string(), &["/label"]),
        bad("a very long label", json!({ "label": long(50_000) }).to_string(), &["/label"]),
        bad("too much metadata", json!({ "metadata": many }).to_string(), &["/metadata"]),
        bad("metadata of numbers", r#"{"metadata":{"a":1}}"#, &["/metadata/a"]),
        bad("nested metadata", r#"{"metadata":{"a":{"b":"c"}}}"#, &["/metadata/a"]),
        bad(
            "a long value",
            json!({ "metadata": { "a": long(501) } }).to_string(),
            &["/metadata/a"],
        ),
        bad("an empty key", r#"{"metadata":{"":"v"}}"#, &["/metadata/"]),
        bad("a character no database holds", "{\"label\":\"a\\u0000b\"}", &[]),
    ]
}

/// Bodies for a pairing code.
pub(super) fn for_a_code() -> Vec<BadBody> {
    let phone = |phone: &str| json!({ "phone": phone }).to_string();
    vec![
        bad("none", "", &[]),
        bad("no phone", "{}", &["/phone"]),
        bad("null", r#"{"phone":null}"#, &["/phone"]),
        bad("a number", r#"{"phone":491512345678}"#, &["/phone"]),
        bad("with a plus", phone("+491512345678"), &["/phone"]),
        bad("with letters", phone("49151abc5678"), &["/phone"]),
        bad("with other digits", phone("٤٩١٥١٢٣٤٥٦٧"), &["/phone"]),
        bad("six digits", phone("491512"), &["/phone"]),
        bad("sixteen digits", phone("4915123456789012"), &["/phone"]),
        bad("and more", r#"{"phone":"491512345678","nope":1}"#, &["/nope"]),
    ]
}

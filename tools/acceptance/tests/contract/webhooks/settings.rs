//! Settings of webhooks: what is refused names its field and writes nothing.

use acceptance::{
    deployment::Deployment,
    webhook::{WEBHOOKS, Webhook},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value, json};
use testbed::{client::Api, receiver::Receiver, sessions::Owned};

use super::SECRET;
use crate::{each_database, streams::audit};

each_database!(
    shared: invalid_settings_name_their_field_and_write_nothing,
    berth_itself_and_its_database_are_never_reached,
    webhooks_are_limited_and_listed_newest_first,
    repeated_creation_makes_one_webhook,
    update_needs_the_present_version,
);

/// A URL without a receiver, which needs no name server.
const ELSEWHERE: &str = "http://127.0.0.1:9";

/// Fields beside a valid URL, or with another one, and the pointer of the fault.
const INVALID: &[(&str, &str)] = &[
    (r#"{"url":null}"#, "/url"),
    (r#"{"url":7}"#, "/url"),
    (r#"{"url":""}"#, "/url"),
    (r#"{"url":"example.com"}"#, "/url"),
    (r#"{"url":"ftp://example.com/"}"#, "/url"),
    (r#"{"url":"http:///"}"#, "/url"),
    (r#"{"url":"http://a:b@example.com/"}"#, "/url"),
    (r#"{"url":"http://example.com/#a"}"#, "/url"),
    (r#"{"url":"http://example.com:0/"}"#, "/url"),
    (r#"{"url":"http://example.com:65536/"}"#, "/url"),
    (r#"{"url":"http://exa mple.com/"}"#, "/url"),
    (r#"{"url":"http://bücher.example/"}"#, "/url"),
    (r#"{"url":"http://example.com\\@a/"}"#, "/url"),
    (r#"{"url":"http://example.com/\r\nX: y"}"#, "/url"),
    (r#"{"events":[]}"#, "/events"),
    (r#"{"events":"*"}"#, "/events"),
    (r#"{"events":["session.created","nothing"]}"#, "/events/1"),
    (r#"{"events":["nothing.*"]}"#, "/events/0"),
    (r#"{"events":["session.*",7]}"#, "/events/1"),
    (r#"{"sessionId":"sess_01JGXS1DN0000000000000ZZZZ"}"#, "/sessionId"),
    (r#"{"sessionId":"x"}"#, "/sessionId"),
    (r#"{"active":"yes"}"#, "/active"),
    (r#"{"ordered":1}"#, "/ordered"),
    (r#"{"secret":"too short"}"#, "/secret"),
    (r#"{"secret":"a secret with a line\nbreak in it"}"#, "/secret"),
    (r#"{"secret":7}"#, "/secret"),
    (r#"{"retryPolicy":7}"#, "/retryPolicy"),
    (r#"{"retryPolicy":{"policy":"never"}}"#, "/retryPolicy/policy"),
    (r#"{"retryPolicy":{"delaySeconds":0}}"#, "/retryPolicy/delaySeconds"),
    (r#"{"retryPolicy":{"delaySeconds":3601}}"#, "/retryPolicy/delaySeconds"),
    (r#"{"retryPolicy":{"delaySeconds":1.5}}"#, "/retryPolicy/delaySeconds"),
    (r#"{"retryPolicy":{"attempts":16}}"#, "/retryPolicy/attempts"),
    (r#"{"retryPolicy":{"attempts":-1}}"#, "/retryPolicy/attempts"),
    (r#"{"retryPolicy":{"more":1}}"#, "/retryPolicy/more"),
    (r#"{"customHeaders":{"X-A":7}}"#, "/customHeaders/X-A"),
    (r#"{"customHeaders":{"X-A":"a\r\nHost: b"}}"#, "/customHeaders"),
    (r#"{"customHeaders":{"X A":"a"}}"#, "/customHeaders"),
    (r#"{"customHeaders":{"":"a"}}"#, "/customHeaders"),
    (r#"{"customHeaders":{"X-Token":"***"}}"#, "/customHeaders"),
    (r#"{"unknown":1}"#, "/unknown"),
    (r#"{"paused":true}"#, "/paused"),
    (r#"{"id":"wh_01JGXS1DN0000000000000ZZZZ"}"#, "/id"),
];

/// Headers of the connection and of berth, in any case.
const RESERVED: &[&str] = &[
    "Host",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "TE",
    "Trailer",
    "Upgrade",
    "Expect",
    "Proxy-Authorization",
    "webhook-signature",
    "X-Webhook-Hmac",
];

/// Bodies that are no webhook.
const MALFORMED: &[&str] =
    &["", "{", "[]", "null", "7", "\"x\"", r#"{"url":"http://127.0.0.1:9","url":"x"}"#];

/// Returns all invalid fields with the pointer of their fault.
fn invalid() -> Result<Vec<(Value, &'static str)>> {
    let parse =
        |(text, pointer): &(&str, &'static str)| Ok((serde_json::from_str(text)?, *pointer));
    let mut table = INVALID.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let many: Map<_, _> = (0..21).map(|n| (format!("X-{n}"), json!("x"))).collect();
    let reserved = RESERVED.iter().map(|name| json!({ *name: "x" }));
    let headers = reserved.chain([many.into(), json!({ "X-A": "a".repeat(1_025) })]);
    table.extend(headers.map(|it| (json!({ "customHeaders": it }), "/customHeaders")));
    table.push((json!({ "url": format!("{ELSEWHERE}/{}", "a".repeat(2_048)) }), "/url"));
    table.push((json!({ "secret": "a".repeat(257) }), "/secret"));
    Ok(table)
}

fn invalid_settings_name_their_field_and_write_nothing(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({ "events": ["auth.*"] }))?;
    let before = (api.get(WEBHOOKS)?.expect(200)?.json(), audit(&api)?);
    for (fields, pointer) in invalid()? {
        let mut body = json!({ "url": receiver.url() });
        if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
            body.extend(fields.clone());
        }
        check_fault(
            &api.post(WEBHOOKS, &body)?.expect_error(400, "validation_error")?.json(),
            pointer,
        )
        .with_context(|| format!("create {fields}"))?;
        check_fault(
            &webhook.patch(&fields)?.expect_error(400, "validation_error")?.json(),
            pointer,
        )
        .with_context(|| format!("update {fields}"))?;
    }
    for body in MALFORMED {
        let reply = api.send("POST", WEBHOOKS, &[], Some(body.as_bytes()))?;
        reply.expect_error(400, "validation_error").context(*body)?;
    }
    let after = (api.get(WEBHOOKS)?.expect(200)?.json(), audit(&api)?);
    ensure!(before == after, "an invalid request has written something: {after:?}");
    ensure!(receiver.count() == 0, "an invalid request was delivered");
    Ok(())
}

/// The body names this field, and no other.
fn check_fault(body: &Value, pointer: &str) -> Result<()> {
    let fields = body["error"]["details"]["fields"].as_array().context("fields")?;
    let pointers: Vec<_> = fields.iter().map(|field| field["pointer"].clone()).collect();
    ensure!(pointers == [pointer], "{pointers:?} instead of {pointer}");
    ensure!(fields[0]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{fields:?}");
    Ok(())
}

/// The tests allow all of 127.0.0.0/8, and the listeners are there.
fn berth_itself_and_its_database_are_never_reached(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let mut own = Vec::new();
    for setting in ["BERTH_LISTEN", "BERTH_NODE_LISTEN", "BERTH_OPS_LISTEN"] {
        own.push(deployment.stack.address(setting)?.port());
    }
    if let Some(cluster) = &deployment.cluster {
        let url = cluster.url("contract");
        let address = url.split('@').nth(1).and_then(|rest| rest.split('/').next());
        let port = address.and_then(|address| address.rsplit(':').next());
        own.push(port.context("a URL with a port")?.parse()?);
    }
    for port in own {
        for host in ["127.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "0.0.0.0", "[::1]"] {
            let url = format!("http://{host}:{port}/metrics");
            let reply = api.post(WEBHOOKS, &json!({ "url": url }))?;
            let reply = reply.expect_error(400, "validation_error").with_context(|| url.clone())?;
            check_fault(&reply.json(), "/url").context(url)?;
        }
    }
    Ok(())
}

fn webhooks_are_limited_and_listed_newest_first(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let mut ids = Vec::new();
    for n in 0..20 {
        let url = format!("{ELSEWHERE}/{n}");
        ids.insert(0, json!(Webhook::create(&api, &url, json!({ "active": false }))?.id));
    }
    let body = json!({ "url": ELSEWHERE });
    let full = api.post(WEBHOOKS, &body)?.expect_error(409, "conflict")?.json();
    let details = json!({ "quota": "webhooks", "limit": 20, "used": 20 });
    ensure!(full["error"]["details"] == details, "{full}");
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("{WEBHOOKS}?limit=7{cursor}"))?.expect(200)?.json();
        let data = page["data"].as_array().context("a list has data")?;
        listed.extend(data.iter().map(|webhook| webhook["id"].clone()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    ensure!(listed == ids, "{listed:?} instead of {ids:?}");
    Ok(())
}

fn repeated_creation_makes_one_webhook(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let body = json!({ "url": receiver.url(), "secret": SECRET, "active": false }).to_string();
    let headers = [("Idempotency-Key", "one-webhook")];
    let create = |api: &Api| api.send("POST", WEBHOOKS, &headers, Some(body.as_bytes()));
    let (first, second) = (create(&api)?.expect(201)?, create(&api)?.expect(201)?);
    ensure!(first.json() == second.json(), "{} and {}", first.json(), second.json());
    let listed = api.get(WEBHOOKS)?.expect(200)?.json();
    ensure!(listed["data"].as_array().is_some_and(|all| all.len() == 1), "{listed}");
    Ok(())
}

fn update_needs_the_present_version(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let session = Owned::create(&api, "selected")?;
    let webhook = Webhook::create(&api, ELSEWHERE, json!({ "active": false }))?;
    let change = json!({
        "url": format!("{ELSEWHERE}/new?key=7"), "sessionId": session.id,
        "events": ["auth.*", "session.created"], "ordered": false,
        "customHeaders": { "X-Tenant": "7", "Authorization": "Bearer hidden" },
        "retryPolicy": { "policy": "linear", "delaySeconds": 60, "attempts": 3 }, "secret": SECRET,
    });
    let send = |guard: &str| {
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", guard)];
        api.send("PATCH", &webhook.path(""), &headers, Some(change.to_string().as_bytes()))
    };
    send("\"7\"")?.expect_error(412, "precondition_failed")?;
    let reply = send("\"1\"")?.expect(200)?;
    ensure!(reply.header("etag") == Some("\"2\""), "{:?}", reply.head);
    let view = webhook.view()?;
    ensure!(view == reply.json() && view["version"] == 2, "{view}");
    for field in ["url", "sessionId", "events", "ordered", "retryPolicy"] {
        ensure!(view[field] == change[field], "{field} of {view}");
    }
    let masked = json!({ "X-Tenant": "7", "Authorization": "***" });
    ensure!(view["customHeaders"] == masked && view.get("secret").is_none(), "{view}");
    // A masked value that is sent back stays as it is.
    webhook.patch(&json!({ "customHeaders": masked }))?.expect(200)?;
    ensure!(webhook.view()?["version"] == 2, "{}", webhook.view()?);
    api.send("DELETE", &webhook.path(""), &[("If-Match", "\"1\"")], None)?
        .expect_error(412, "precondition_failed")?;
    api.send("DELETE", &webhook.path(""), &[("If-Match", "\"2\"")], None)?.expect(204).map(drop)
}

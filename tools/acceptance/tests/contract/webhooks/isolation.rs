//! No answer and no effect distinguishes another organization's webhook from a missing one, and
//! nobody but the owner with `manage` over the whole organization has access.

use acceptance::{
    deployment::Deployment,
    webhook::{WEBHOOKS, Webhook},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use testbed::{
    client::{Api, Credential},
    http::Reply,
    receiver::Receiver,
    sessions::Owned,
};

use super::{PROMPT, QUIET, relabel};
use crate::{each_database, isolation::fresh};

each_database!(
    shared: webhook_of_another_organization_looks_missing,
    deleted_webhook_looks_missing,
    callers_without_manage_over_everything_are_refused,
    events_of_another_organization_are_not_delivered,
);

/// A request about a webhook: method, path after the id, headers, body.
type Request = (&'static str, &'static str, Option<(&'static str, &'static str)>, &'static str);

const MERGE: Option<(&str, &str)> = Some(("Content-Type", "application/merge-patch+json"));
const GUARD: Option<(&str, &str)> = Some(("If-Match", "\"1\""));
const KNOWN: Option<(&str, &str)> = Some(("If-None-Match", "\"1\""));
const REPEAT: &str = "Idempotency-Key";
const LETTER: &str = "/dead-letters/evt_01JGXS1DN0000000000000ZZZZ";

/// Every kind of request about a webhook, valid and invalid. `LETTER` stands for the path of a dead
/// letter. The deletion is last.
const REQUESTS: &[Request] = &[
    ("GET", "", None, ""),
    ("GET", "", KNOWN, ""),
    ("GET", "?unknown=1", None, ""),
    ("HEAD", "", None, ""),
    ("OPTIONS", "", None, ""),
    ("PUT", "", None, "{}"),
    ("PATCH", "", MERGE, r#"{"active":false}"#),
    ("PATCH", "", MERGE, r#"{"secret":"a secret of twenty-four characters"}"#),
    ("PATCH", "", MERGE, r#"{"url":"http://10.0.0.1/"}"#),
    ("PATCH", "", MERGE, r#"{"url":7}"#),
    ("PATCH", "", MERGE, "{"),
    ("PATCH", "", GUARD, "{}"),
    ("GET", "/state", None, ""),
    ("HEAD", "/state", None, ""),
    ("GET", "/attempts", None, ""),
    ("GET", "/attempts?limit=0", None, ""),
    ("GET", "/attempts?cursor=x", None, ""),
    ("GET", "/dead-letters", None, ""),
    ("GET", "/dead-letters?limit=201", None, ""),
    ("POST", ":ping", None, ""),
    ("POST", ":pause", None, ""),
    ("POST", ":pause", Some((REPEAT, "")), ""),
    ("POST", ":resume", None, ""),
    ("POST", ":replay", None, r#"{"since":0}"#),
    ("POST", ":replay", None, r#"{"deadOnly":true}"#),
    ("POST", ":replay", None, "{}"),
    ("POST", ":replay", None, r#"{"after":"evt_01JGXS1DN0000000000000ZZZZ"}"#),
    ("POST", ":unknown", None, ""),
    ("POST", "/dead-letters/evt_01JGXS1DN0000000000000ZZZZ:replay", None, ""),
    ("POST", "/dead-letters/evt_01JGXS1DN0000000000000ZZZZ:skip", None, ""),
    ("POST", "/dead-letters/x:skip", None, ""),
    ("GET", LETTER, None, ""),
    ("DELETE", "", GUARD, ""),
    ("DELETE", "", None, ""),
];

fn send(api: &Api, id: &str, request: &Request) -> Result<Reply> {
    let (method, what, header, body) = request;
    let path = format!("{WEBHOOKS}/{id}{what}");
    let body = (!body.is_empty()).then_some(body.as_bytes());
    // An idempotency key that was used for another webhook is refused for that alone.
    let unused = fresh();
    let own = |(name, value)| if name == REPEAT { (name, unused.as_str()) } else { (name, value) };
    api.send_raw(method, &path, header.map(own).as_slice(), body)
}

/// A custom header that must not leave its organization.
const CANARY: &str = "canary-5d1e";

fn webhook_of_another_organization_looks_missing(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?.api, deployment.organization()?.api);
    let receiver = Receiver::start()?;
    let fields = json!({ "customHeaders": { "X-Mark": CANARY }, "events": ["session.*"] });
    let webhook = Webhook::create(&a, &receiver.url(), fields)?;
    let session = Owned::create(&a, "before")?;
    receiver.until("the first event arrives", PROMPT, |all| !all.is_empty())?;
    let version = webhook.view()?["version"].clone();
    check_same(&b, &webhook.id, &unused(&webhook.id)?)?;
    let listed = b.get(WEBHOOKS)?.expect(200)?.json();
    ensure!(listed["data"] == json!([]), "B lists {listed}");
    let view = webhook.view()?;
    ensure!(view["version"] == version && view["active"] == true, "B changed {view}");
    relabel(&session, 1)?;
    let seen = receiver.until("the next event arrives", PROMPT, |all| all.len() >= 2)?;
    ensure!(seen.len() == 2, "B's requests made {} deliveries", seen.len());
    // The owner gets no 404, so the 404 of others has no other cause.
    let other = ["/dead-letters/", ":unknown"];
    for request in
        REQUESTS.iter().filter(|request| !other.iter().any(|it| request.1.starts_with(it)))
    {
        let status = send(&a, &webhook.id, request)?.status;
        ensure!(status != 404 && status < 500, "{} {}: {status}", request.0, request.1);
    }
    a.get(&webhook.path(""))?.expect_error(404, "not_found").map(drop)
}

fn deleted_webhook_looks_missing(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let receiver = Receiver::start()?;
    let webhook = Webhook::create(&api, &receiver.url(), json!({}))?;
    api.delete(&webhook.path(""))?.expect(204)?;
    check_same(&api, &webhook.id, &unused(&webhook.id)?)
}

/// Every request gets the same refusal for both ids.
fn check_same(api: &Api, one: &str, other: &str) -> Result<()> {
    for request in REQUESTS {
        let name = format!("{} {}", request.0, request.1);
        let replies = (send(api, one, request)?, send(api, other, request)?);
        let (left, right) = (replies.0.stable_parts(), replies.1.stable_parts());
        ensure!(left == right, "{name}: {left:?} and {right:?}");
        let refused = (400..500).contains(&replies.0.status) || request.0 == "OPTIONS";
        ensure!(refused, "{name}: {}", replies.0.status);
        let text = String::from_utf8_lossy(&replies.0.body);
        ensure!(!text.contains(CANARY) && !text.contains(one), "{name}: {text}");
    }
    for what in ["", "/state", "/attempts", "/dead-letters"] {
        api.get(&format!("{WEBHOOKS}/{one}{what}"))?.expect_error(404, "not_found")?;
    }
    for action in [":ping", ":pause", ":resume"] {
        api.action(&format!("{WEBHOOKS}/{one}{action}"))?.expect_error(404, "not_found")?;
    }
    api.delete(&format!("{WEBHOOKS}/{one}"))?.expect_error(404, "not_found").map(drop)
}

fn callers_without_manage_over_everything_are_refused(deployment: &Deployment) -> Result<()> {
    let organization = deployment.organization()?;
    let owner = &organization.api;
    let receiver = Receiver::start()?;
    let session = Owned::create(owner, "of the confined key")?;
    let webhook = Webhook::create(owner, &receiver.url(), json!({ "sessionId": session.id }))?;
    let key = json!({ "name": "confined", "capabilities": ["manage"], "sessions": [session.id] });
    let key = owner.post("/api/v1/api-keys", &key)?.expect(201)?.json();
    let key = key["key"].as_str().context("a new key shows its text")?.to_owned();
    let confined = deployment.with_credential(Credential::Key(key));
    let reader = deployment.stack.key(&organization.name, &["read", "send"])?;
    let reader = deployment.with_credential(reader);
    confined.get(&testbed::sessions::path(&session.id))?.expect(200)?;
    let body = json!({ "url": receiver.url(), "sessionId": session.id });
    for caller in [&confined, &reader] {
        caller.get(WEBHOOKS)?.expect_error(403, "forbidden")?;
        for body in [&body, &json!({ "url": 7 }), &json!({ "url": "http://10.0.0.1/" })] {
            caller.post(WEBHOOKS, body)?.expect_error(403, "forbidden")?;
        }
        for request in REQUESTS {
            let replies = (
                send(caller, &webhook.id, request)?,
                send(caller, &unused(&webhook.id)?, request)?,
            );
            let name = format!("{} {}", request.0, request.1);
            ensure!(replies.0.stable_parts() == replies.1.stable_parts(), "{name} differs");
            let status = replies.0.status;
            let other = [404, 405].contains(&status) || request.0 == "OPTIONS"; // unknown operation
            ensure!(status == 403 || other, "{name}: {status}");
        }
        caller.get(&webhook.path(""))?.expect_error(403, "forbidden")?;
        caller.delete(&webhook.path(""))?.expect_error(403, "forbidden")?;
    }
    ensure!(webhook.view()?["version"] == 1, "{}", webhook.view()?);
    Ok(())
}

fn events_of_another_organization_are_not_delivered(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?, deployment.organization()?);
    let (of_a, of_b) = (Receiver::start()?, Receiver::start()?);
    let foreign = Owned::create(&b.api, "of B")?;
    for (organization, receiver) in [(&a, &of_a), (&b, &of_b)] {
        Webhook::create(&organization.api, &receiver.url(), json!({}))?;
    }
    let body = json!({ "url": of_a.url(), "sessionId": foreign.id });
    let refused = a.api.post(WEBHOOKS, &body)?.expect_error(400, "validation_error")?.json();
    let missing = json!({ "url": of_a.url(), "sessionId": unused(&foreign.id)? });
    let missing = a.api.post(WEBHOOKS, &missing)?.expect_error(400, "validation_error")?.json();
    ensure!(refused == missing, "B's session differs from none: {refused}");
    relabel(&foreign, 10)?;
    Owned::create(&a.api, "of A")?;
    of_b.until("B's events arrive", PROMPT, |all| all.len() >= 11)?;
    of_a.until("A's events arrive", PROMPT, |all| all.len() >= 2)?;
    std::thread::sleep(QUIET);
    for (organization, receiver) in [(&a, &of_a), (&b, &of_b)] {
        let own = |event: &serde_json::Value| event["organization"] == organization.name.as_str();
        ensure!(receiver.events().iter().all(own), "{:?}", receiver.events());
    }
    Ok(())
}

/// Returns an id like this, of nothing.
fn unused(id: &str) -> Result<String> {
    let last = id.chars().last().context("an id has characters")?;
    Ok(format!("{}{}", &id[..id.len() - 1], if last == '0' { '1' } else { '0' }))
}

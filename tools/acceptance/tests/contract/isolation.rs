//! No answer and no effect distinguishes another organization's session from a missing one.

use std::hash::{BuildHasher as _, RandomState};

use acceptance::{deployment::Deployment, http2};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::{Api, Credential},
    http::Reply,
    sessions::{Owned, SESSIONS, list, path, path_of},
};

use crate::{credentials::until_refused, each_database};

/// A request about a session: method, path after the id, headers, body.
struct Request(
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
);

const PHONE: &str = r#"{"phone":"4915112345678"}"#;
const SVG: &[(&str, &str)] = &[("Accept", "image/svg+xml")];
const PNG: &[(&str, &str)] = &[("Accept", "image/png")];
const MERGE: &[(&str, &str)] = &[("Content-Type", "application/merge-patch+json")];
const GUARD: &[(&str, &str)] = &[("If-Match", "\"1\"")];
const KNOWN: &[(&str, &str)] = &[("If-None-Match", "\"1\"")];
const REPEAT: &[(&str, &str)] = &[("Idempotency-Key", "")];

/// Every kind of request about a session, valid and invalid. The deletion is last: the owner sends it
/// too.
const REQUESTS: &[Request] = &[
    Request("GET", "", &[], None),
    Request("GET", "", KNOWN, None),
    Request("GET", "?unknown=1", &[], None),
    Request("HEAD", "", &[], None),
    Request("OPTIONS", "", &[], None),
    Request("PUT", "", &[], Some("{}")),
    Request("PATCH", "", MERGE, Some(r#"{"label":"taken"}"#)),
    Request("GET", "/me", &[], None),
    Request("HEAD", "/me", &[], None),
    Request("GET", "/qr?wait=0", &[], None),
    Request("GET", "/qr?wait=0", SVG, None),
    Request("GET", "/qr?wait=0", PNG, None),
    Request("GET", "/qr?wait=never", &[], None),
    Request("POST", "/pairing-code", &[], Some(PHONE)),
    Request("POST", "/pairing-code", &[], Some(r#"{"phone":"+1"}"#)),
    Request("POST", "/pairing-code", &[], Some("{")),
    Request("POST", ":start", &[], None),
    Request("POST", ":start", REPEAT, None),
    Request("POST", ":stop", &[], None),
    Request("POST", ":restart", &[], None),
    Request("POST", ":logout", &[], None),
    Request("POST", ":unknown", &[], None),
    Request("GET", "/unknown", &[], None),
    Request("DELETE", "", GUARD, None),
    Request("DELETE", "", &[], None),
];

impl Request {
    fn send(&self, api: &Api, id: &str) -> Result<Reply> {
        let Self(method, what, headers, body) = self;
        let named = fresh();
        let headers = with_name(headers, &named);
        api.send_raw(method, &path_of(id, what), &headers, body.map(str::as_bytes))
    }

    /// As [`send`](Self::send), over HTTP/2.
    fn send_over_http2(&self, api: &Api, id: &str) -> Result<Reply> {
        let Self(method, what, headers, body) = self;
        let named = fresh();
        let (headers, body) = (with_name(headers, &named), body.map(str::as_bytes));
        http2::send(api, method, &path_of(id, what), &headers, body)
    }

    fn name(&self) -> String {
        let Self(method, what, headers, _) = self;
        format!("{method} {{session}}{what} {headers:?}")
    }
}

/// Sets a new idempotency key: a key that was used for another session is refused for that alone.
fn with_name<'a>(
    headers: &[(&'static str, &'a str)],
    named: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let own = |(name, value): &(&'static str, &'a str)| {
        (*name, if *name == REPEAT[0].0 { named } else { *value })
    };
    headers.iter().map(own).collect()
}

pub(crate) fn fresh() -> String {
    // A deployment may remember keys of earlier runs.
    format!("k-{:016x}", RandomState::new().hash_one(0))
}

each_database!(
    shared: unlinked_session_of_another_organization_looks_missing,
    linked_session_of_another_organization_looks_missing,
    deleted_session_looks_missing,
    refusals_without_manage_are_equal,
    refusals_without_a_credential_are_equal,
);

/// Checks that a new session of A looks missing to B, with sessions that are deleted afterwards.
pub(crate) fn check_new_session(a: &Api, b: &Api) -> Result<()> {
    let session = Owned::create(a, CANARY)?;
    let outcome = check_foreign(b, &session).and_then(|()| check_unchanged(&session));
    session.delete()?;
    outcome
}

/// A label that must not leave its organization.
const CANARY: &str = "canary-7f3a";

fn unlinked_session_of_another_organization_looks_missing(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?.api, deployment.organization()?.api);
    let session = Owned::create(&a, CANARY)?;
    check_foreign(&b, &session)?;
    check_unchanged(&session)?;
    check_owner(&session)
}

fn linked_session_of_another_organization_looks_missing(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?.api, deployment.organization()?.api);
    let phone = deployment.stack.phones.new_phone("Canary")?;
    let session = Owned::create(&a, CANARY)?;
    session.link(&phone)?;
    check_foreign(&b, &session)?;
    ensure!(session.view()?["status"] == "working", "the other organization disturbed the session");
    ensure!(phone.devices()?.len() == 1, "the other organization unlinked the session");
    check_owner(&session)?;
    session.must_be_gone(&deployment.stack, Some(&phone))
}

fn deleted_session_looks_missing(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let session = Owned::create(&api, CANARY)?;
    session.delete()?;
    check_same(&api, &session.id, &unused(&session.id)?)
}

fn refusals_without_manage_are_equal(deployment: &Deployment) -> Result<()> {
    let (a, b) = (deployment.organization()?, deployment.organization()?);
    let session = Owned::create(&a.api, CANARY)?;
    let unused = unused(&session.id)?;
    for organization in [&a.name, &b.name] {
        let key = deployment.stack.key(organization, &["read", "send"])?;
        let reader = deployment.with_credential(key);
        check_forbidden(&reader, &session.id, &unused)?;
        reader.get(SESSIONS)?.expect_error(403, "forbidden")?;
    }
    session.delete()
}

fn refusals_without_a_credential_are_equal(deployment: &Deployment) -> Result<()> {
    let (organization, stack) = (deployment.organization()?, &deployment.stack);
    let revoked = stack.named_key(&organization.name, "to-be-revoked", &["manage"])?;
    let caller = deployment.with_credential(revoked.clone());
    caller.get(SESSIONS)?.expect(200)?;
    stack.revoke_key(&organization.name, "to-be-revoked")?;
    until_refused(&caller)?;
    check_unauthorized(&organization.api, Some(revoked))
}

/// Every answer to B about a session of A equals the answer about a session that never existed, and no
/// list of B shows the session.
fn check_foreign(b: &Api, session: &Owned) -> Result<()> {
    check_same(b, &session.id, &unused(&session.id)?)?;
    let listed = Value::Array(list(b)?).to_string();
    ensure!(
        !listed.contains(CANARY) && !listed.contains(&session.id),
        "B's list shows A's session"
    );
    b.get(&path(&session.id))?.expect_error(404, "not_found").map(drop)
}

/// A way to send a request.
type Sending = fn(&Request, &Api, &str) -> Result<Reply>;

/// Every request gets the same answer for both ids, over HTTP/1.1 and HTTP/2.
fn check_same(api: &Api, one: &str, other: &str) -> Result<()> {
    let plain = !api.base().starts_with("https:"); // TLS chooses the protocol
    let protocols: &[Sending] =
        if plain { &[Request::send, Request::send_over_http2] } else { &[Request::send] };
    for send in protocols {
        for request in REQUESTS {
            let replies = (send(request, api, one)?, send(request, api, other)?);
            let (left, right) = (replies.0.stable_parts(), replies.1.stable_parts());
            ensure!(left == right, "{}: {left:?} and {right:?}", request.name());
            let refused = (400..500).contains(&replies.0.status) || request.0 == "OPTIONS";
            ensure!(refused, "{}: {}", request.name(), replies.0.status);
            let text = String::from_utf8_lossy(&replies.0.body);
            ensure!(!text.contains(CANARY) && !text.contains(one), "{}: {text}", request.name());
        }
    }
    Ok(())
}

fn check_unchanged(session: &Owned) -> Result<()> {
    let view = session.view()?;
    ensure!(
        view["label"] == CANARY && view["version"] == 1,
        "another organization changed the session: {view}"
    );
    Ok(())
}

/// The owner gets no 404, so the 404 of others has no other cause. Deletes the session.
fn check_owner(session: &Owned) -> Result<()> {
    let me = path_of(&session.id, "/me");
    let linked = !session.view()?["deviceId"].is_null();
    ensure!(session.api.get(&me)?.status == if linked { 200 } else { 404 }, "/me");
    let rest = REQUESTS.iter().filter(|r| r.0 != "DELETE" && r.0 != "PATCH");
    for request in rest.filter(|r| !["/me", ":unknown", "/unknown"].contains(&r.1)) {
        let reply = request.send(&session.api, &session.id)?;
        let waits = request.1.starts_with("/qr"); // 404 also means that no code is available yet
        ensure!(reply.status != 404 || waits, "{}: the owner is not served", request.name());
        ensure!(reply.status < 500, "{}: {}", request.name(), reply.status);
    }
    session.delete()
}

fn check_forbidden(reader: &Api, existing: &str, unused: &str) -> Result<()> {
    for request in REQUESTS {
        let replies = (request.send(reader, existing)?, request.send(reader, unused)?);
        ensure!(replies.0.stable_parts() == replies.1.stable_parts(), "{} differs", request.name());
        let status = replies.0.status;
        let other = [404, 405].contains(&status) || request.0 == "OPTIONS"; // unknown operation
        ensure!(status == 403 || other, "{}: {status}", request.name());
    }
    reader.get(&path(existing))?.expect_error(403, "forbidden")?;
    reader.delete(&path(existing))?.expect_error(403, "forbidden").map(drop)
}

/// One answer for every id and every invalid credential: none, malformed, unknown, revoked.
pub(crate) fn check_unauthorized(api: &Api, revoked: Option<Credential>) -> Result<()> {
    let session = Owned::create(api, CANARY)?;
    let unknown = "wa_0000000000000000000000_0000000000000000000000000000000000000000";
    let mut callers = vec![None];
    for text in ["", "x", unknown, "wa_", "wa__", "a.b", "ümlaut"] {
        callers.push(Some(Credential::Key(text.to_owned())));
        callers.push(Some(Credential::Token(text.to_owned())));
    }
    callers.extend(revoked.map(Some));
    let mut first: Option<(Vec<String>, Vec<u8>)> = None;
    for caller in callers {
        let caller_api = api.with_credential(caller.clone());
        for id in [session.id.as_str(), &unused(&session.id)?, "x"] {
            let reply = caller_api.send_raw("GET", &path(id), &[], None)?;
            ensure!(reply.status == 401, "{caller:?}: {}", reply.status);
            ensure!(reply.header("www-authenticate") == Some("Bearer"), "{:?}", reply.head);
            ensure!(reply.envelope()? == "unauthorized", "{caller:?}");
            let (head, body) = reply.stable_parts();
            let this = (head.into_iter().map(str::to_owned).collect(), body.to_vec());
            let first = first.get_or_insert_with(|| this.clone());
            ensure!(*first == this, "{caller:?}: {this:?} instead of {first:?}");
        }
    }
    for request in REQUESTS.iter().filter(|r| !["PUT", "PATCH", "OPTIONS"].contains(&r.0)) {
        let reply = request.send(&api.with_credential(None), &session.id)?;
        let unknown = request.1.ends_with("unknown");
        ensure!(reply.status == 401 || unknown, "{}: {}", request.name(), reply.status);
    }
    session.delete()
}

/// Returns an id like this, of a session that never existed.
fn unused(id: &str) -> Result<String> {
    let last = id.chars().last().context("an id has characters")?;
    let other = if last == '0' { '1' } else { '0' };
    let mut twin = id[..id.len() - 1].to_owned();
    twin.push(other);
    Ok(twin)
}

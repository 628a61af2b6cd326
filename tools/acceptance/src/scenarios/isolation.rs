//! Nobody can learn that another organization's session exists: not by status, header, byte or effect.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::{Api, Credential},
    exchange::Reply,
    sessions::{Owned, SESSIONS, list, path, path_of},
    stack::Stack,
    wait,
};

use super::{A, B, Pair};
use crate::{multiplexed, suite::Suite};

/// A request to a session: method, what follows its id, headers, body.
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

/// Every way to ask for a session, well or badly. Deleting comes last: the owner does it too.
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
        api.exchange(method, &path_of(id, what), &headers, body.map(str::as_bytes))
    }

    /// The same, over HTTP/2.
    fn send_multiplexed(&self, api: &Api, id: &str) -> Result<Reply> {
        let Self(method, what, headers, body) = self;
        let named = fresh();
        let (headers, body) = (with_name(headers, &named), body.map(str::as_bytes));
        multiplexed::exchange(api, method, &path_of(id, what), &headers, body)
    }

    fn name(&self) -> String {
        let Self(method, what, headers, _) = self;
        format!("{method} {{session}}{what} {headers:?}")
    }
}

/// Another name for each request: one that is used for two sessions is refused for that alone.
fn with_name<'a>(
    headers: &[(&'static str, &'a str)],
    named: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let own = |(name, value): &(&'static str, &'a str)| {
        (*name, if *name == REPEAT[0].0 { named } else { *value })
    };
    headers.iter().map(own).collect()
}

fn fresh() -> String {
    // A deployment may remember yesterday's names.
    format!("k-{:016x}", RandomState::new().hash_one(0))
}

pub(super) fn run_remote(suite: &mut Suite<'_>, pair: &Pair) {
    suite.run("a stranger cannot tell another's session from none", || {
        let session = Owned::create(&pair.a, CANARY)?;
        let told = foreign_is_missing(pair, &session).and_then(|()| nothing_changed(&session));
        session.delete()?;
        told
    });
    suite.run("without a credential nothing differs", || mute(&pair.a, None));
}

/// A label that must never be seen outside its organization.
const CANARY: &str = "canary-7f3a";

pub(super) fn run_local(suite: &mut Suite<'_>, stack: &mut Stack, pair: &Pair) {
    suite.run_on(stack, "a stranger cannot tell an unlinked session from none", |_| {
        let session = Owned::create(&pair.a, CANARY)?;
        foreign_is_missing(pair, &session)?;
        nothing_changed(&session)?;
        owner_is_served(&session)
    });
    suite.run_on(stack, "a stranger cannot tell a linked session from none", |stack| {
        let phone = stack.phones.new_phone("Canary")?;
        let session = Owned::create(&pair.a, CANARY)?;
        session.link(&phone)?;
        foreign_is_missing(pair, &session)?;
        ensure!(session.view()?["status"] == "working", "a stranger disturbed it");
        ensure!(phone.devices()?.len() == 1, "a stranger unlinked it");
        owner_is_served(&session)?;
        session.must_be_gone(stack, Some(&phone))
    });
    suite.run_on(stack, "a deleted session is like one that never was", |_| {
        let session = Owned::create(&pair.a, CANARY)?;
        session.delete()?;
        same(&pair.a, &session.id, &never(&session.id)?)
    });
    suite.run_on(stack, "without `manage` every answer is the same 403", |stack| {
        let session = Owned::create(&pair.a, CANARY)?;
        let never = never(&session.id)?;
        for organization in [A, B] {
            let key = stack.key(organization, &["read", "send"])?;
            let reader = pair.a.asked_by(Some(key));
            forbidden(&reader, &session.id, &never)?;
            reader.get(SESSIONS)?.expect_error(403, "forbidden")?;
        }
        session.delete()
    });
    suite.run_on(stack, "without a good credential every answer is the same 401", |stack| {
        let revoked = revoked(stack)?;
        mute(&pair.a, Some(revoked))
    });
}

/// B hears of A's session what it hears of none; neither its list nor any answer tells of it.
fn foreign_is_missing(pair: &Pair, session: &Owned) -> Result<()> {
    let never = never(&session.id)?;
    same(&pair.b, &session.id, &never)?;
    let seen = Value::Array(list(&pair.b)?).to_string();
    ensure!(!seen.contains(CANARY) && !seen.contains(&session.id), "B's list shows A's session");
    pair.b.get(&path(&session.id))?.expect_error(404, "not_found").map(drop)
}

/// How a request is sent.
type Sending = fn(&Request, &Api, &str) -> Result<Reply>;

/// Every request about the one id is answered as it is about the other, on either protocol.
fn same(api: &Api, one: &str, other: &str) -> Result<()> {
    let plain = !api.base().starts_with("https:"); // behind TLS the protocol is chosen there
    let protocols: &[Sending] =
        if plain { &[Request::send, Request::send_multiplexed] } else { &[Request::send] };
    for send in protocols {
        for request in REQUESTS {
            let replies = (send(request, api, one)?, send(request, api, other)?);
            let (left, right) = (replies.0.lasting(), replies.1.lasting());
            ensure!(left == right, "{}: {left:?} and {right:?}", request.name());
            let refused = (400..500).contains(&replies.0.status) || request.0 == "OPTIONS";
            ensure!(refused, "{}: {}", request.name(), replies.0.status);
            let text = String::from_utf8_lossy(&replies.0.body);
            ensure!(!text.contains(CANARY) && !text.contains(one), "{}: {text}", request.name());
        }
    }
    Ok(())
}

fn nothing_changed(session: &Owned) -> Result<()> {
    let view = session.view()?;
    ensure!(view["label"] == CANARY && view["version"] == 1, "a stranger changed it: {view}");
    Ok(())
}

/// The owner is not told "not found", else that answer would prove nothing. Deletes the session.
fn owner_is_served(session: &Owned) -> Result<()> {
    let me = path_of(&session.id, "/me");
    let linked = !session.view()?["deviceId"].is_null();
    ensure!(session.api.get(&me)?.status == if linked { 200 } else { 404 }, "/me");
    let rest = REQUESTS.iter().filter(|r| r.0 != "DELETE" && r.0 != "PATCH");
    for request in rest.filter(|r| !["/me", ":unknown", "/unknown"].contains(&r.1)) {
        let reply = request.send(&session.api, &session.id)?;
        let waits = request.1.starts_with("/qr"); // 404 also says that no code has come yet
        ensure!(reply.status != 404 || waits, "{}: its owner is not served", request.name());
        ensure!(reply.status < 500, "{}: {}", request.name(), reply.status);
    }
    session.delete()
}

fn forbidden(reader: &Api, existing: &str, never: &str) -> Result<()> {
    for request in REQUESTS {
        let replies = (request.send(reader, existing)?, request.send(reader, never)?);
        ensure!(replies.0.lasting() == replies.1.lasting(), "{} differs", request.name());
        let status = replies.0.status;
        let other = [404, 405].contains(&status) || request.0 == "OPTIONS"; // no such operation
        ensure!(status == 403 || other, "{}: {status}", request.name());
    }
    reader.get(&path(existing))?.expect_error(403, "forbidden")?;
    reader.delete(&path(existing))?.expect_error(403, "forbidden").map(drop)
}

/// One answer for every id and every cause: nothing, nonsense, unknown, badly formed, revoked.
fn mute(api: &Api, revoked: Option<Credential>) -> Result<()> {
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
        let stranger = api.asked_by(caller.clone());
        for id in [session.id.as_str(), &never(&session.id)?, "x"] {
            let reply = stranger.exchange("GET", &path(id), &[], None)?;
            ensure!(reply.status == 401, "{caller:?}: {}", reply.status);
            ensure!(reply.header("www-authenticate") == Some("Bearer"), "{:?}", reply.head);
            ensure!(reply.envelope()? == "unauthorized", "{caller:?}");
            let (head, body) = reply.lasting();
            let this = (head.into_iter().map(str::to_owned).collect(), body.to_vec());
            let first = first.get_or_insert_with(|| this.clone());
            ensure!(*first == this, "{caller:?}: {this:?} instead of {first:?}");
        }
    }
    for request in REQUESTS.iter().filter(|r| !["PUT", "PATCH", "OPTIONS"].contains(&r.0)) {
        let reply = request.send(&api.asked_by(None), &session.id)?;
        let unknown = request.1.ends_with("unknown");
        ensure!(reply.status == 401 || unknown, "{}: {}", request.name(), reply.status);
    }
    session.delete()
}

fn revoked(stack: &Stack) -> Result<Credential> {
    let credential = stack.named_key(A, "to-be-revoked", &["manage"])?;
    let caller = stack.api.asked_by(Some(credential.clone()));
    caller.get(SESSIONS)?.expect(200)?;
    stack.revoke_key(A, "to-be-revoked")?;
    // Another process revoked it; a router believes what it read of a key for a second.
    wait::until("the revoked key is refused", Duration::from_secs(5), || {
        caller.get(SESSIONS)?.expect_error(401, "unauthorized").map(Some)
    })?;
    Ok(credential)
}

/// An id like this one, of a session that never was.
fn never(id: &str) -> Result<String> {
    let last = id.chars().last().context("an id has characters")?;
    let other = if last == '0' { '1' } else { '0' };
    let mut twin = id[..id.len() - 1].to_owned();
    twin.push(other);
    Ok(twin)
}

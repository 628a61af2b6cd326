//! What all answers have in common: ids, lists, errors, methods.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testbed::{
    client::Api,
    sessions::{Owned, SESSIONS, list, path, path_of},
};

use crate::suite::Suite;

pub(super) fn run(suite: &mut Suite<'_>, api: &Api) {
    suite.run("sessions are made, viewed, listed and deleted", || basics(api));
    suite.run("lists come in pages, each session once, newest first", || pages(api));
    suite.run("a request keeps its id, if that is a decent one", || request_ids(api));
    suite.run("every path tells its methods", || methods(api));
    suite.run("a path that is none is not found, in the envelope", || {
        for unknown in ["/", "/api", "/api/v1", "/api/v1/nothing", "/api/v2/sessions", "//"] {
            api.get(unknown)?.expect_error(404, "not_found").with_context(|| unknown.to_owned())?;
        }
        Ok(())
    });
    suite.run("whoever asks whether it lives needs no credential", || {
        api.asked_by(None).get("/livez")?.expect(200).map(drop)
    });
}

fn basics(api: &Api) -> Result<()> {
    for empty in [None, Some(&b"{}"[..])] {
        let made = api.send("POST", SESSIONS, &[], empty)?.expect(201)?;
        let view = made.json();
        let id = view["id"].as_str().context("a session has an id")?.to_owned();
        let session = Owned { api: api.clone(), id };
        ensure!(view["label"].is_null() && view["metadata"] == json!({}), "{view}");
        for moment in ["createdAt", "updatedAt"] {
            let milliseconds = view[moment].as_u64().context("no integer")?;
            ensure!((1_500_000_000_000..10_000_000_000_000).contains(&milliseconds), "{moment}");
        }
        ensure!(session.view()? == view, "viewed, it is another than when it was made");
        ensure!(list(api)?.contains(&view), "it is not listed as it is");
        session.delete()?;
        session.must_be_gone_for_its_owner()?;
    }
    Ok(())
}

fn pages(api: &Api) -> Result<()> {
    let made: Vec<_> =
        (0..5).map(|n| Owned::create(api, &format!("page {n}"))).collect::<Result<_>>()?;
    let mut seen: Vec<String> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("{SESSIONS}?limit=2{cursor}"))?.expect(200)?.json();
        let data = page["data"].as_array().context("a list has data")?;
        ensure!(data.len() <= 2, "more than asked for");
        seen.extend(data.iter().filter_map(|session| session["id"].as_str().map(str::to_owned)));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let ours: Vec<_> = seen.iter().filter(|id| made.iter().any(|m| m.id == **id)).collect();
    let newest_first: Vec<_> = made.iter().rev().map(|session| &session.id).collect();
    ensure!(ours == newest_first, "{ours:?} instead of {newest_first:?}");
    made.iter().try_for_each(Owned::delete)
}

fn request_ids(api: &Api) -> Result<()> {
    let asked = |id: &str| -> Result<String> {
        let reply = api.send("GET", SESSIONS, &[("X-Request-Id", id)], None)?.expect(200)?;
        ensure!(
            !String::from_utf8_lossy(&reply.body).contains(id),
            "the body tells the request id"
        );
        Ok(reply.header("x-request-id").context("no X-Request-Id")?.to_owned())
    };
    for decent in ["r-4711", &"x".repeat(128)] {
        ensure!(asked(decent)? == decent, "{decent} was not kept");
    }
    for odd in ["two words", &"x".repeat(129), "tab\there"] {
        ensure!(asked(odd)? != odd, "{odd:?} was kept");
    }
    let fresh = || -> Result<_> {
        let reply = api.get(SESSIONS)?;
        Ok(reply.header("x-request-id").context("no X-Request-Id")?.to_owned())
    };
    ensure!(fresh()? != fresh()?, "two requests share an id");
    Ok(())
}

fn methods(api: &Api) -> Result<()> {
    let session = Owned::create(api, "methods")?;
    let rows: [(&str, &[&str]); 5] = [
        ("", &["DELETE", "GET", "HEAD", "OPTIONS"]),
        ("/me", &["GET", "HEAD", "OPTIONS"]),
        ("/qr", &["GET", "HEAD", "OPTIONS"]),
        ("/pairing-code", &["OPTIONS", "POST"]),
        (":stop", &["OPTIONS", "POST"]),
    ];
    let mut paths: Vec<_> = rows.iter().map(|(w, m)| (path_of(&session.id, w), *m)).collect();
    paths.push((SESSIONS.to_owned(), &["GET", "HEAD", "OPTIONS", "POST"]));
    for (path, methods) in paths {
        for method in ["TRACE", "PUT", "BREW"] {
            let refused = api.send(method, &path, &[], None)?;
            let refused = refused.expect_error(405, "method_not_allowed").context(method)?;
            allows(refused.header("allow"), methods).with_context(|| path.clone())?;
        }
        let asked = api.send("OPTIONS", &path, &[], None)?;
        ensure!(asked.status < 300, "OPTIONS {path}: {}", asked.status);
        allows(asked.header("allow"), methods).with_context(|| path.clone())?;
    }
    head_is_get_without_a_body(&session)?;
    session.delete()
}

/// Everything expected is allowed; later operations may add to it.
fn allows(allow: Option<&str>, methods: &[&str]) -> Result<()> {
    let allow: Vec<_> = allow.unwrap_or_default().split(',').map(str::trim).collect();
    let missing: Vec<_> = methods.iter().filter(|method| !allow.contains(*method)).collect();
    ensure!(missing.is_empty(), "Allow: {allow:?} lacks {missing:?}");
    ensure!(!allow.contains(&"PUT") && !allow.contains(&"TRACE"), "Allow: {allow:?}");
    Ok(())
}

fn head_is_get_without_a_body(session: &Owned) -> Result<()> {
    let path = path(&session.id);
    let get = session.api.exchange("GET", &path, &[], None)?.expect(200)?;
    let head = session.api.exchange("HEAD", &path, &[], None)?.expect(200)?;
    ensure!(head.body.is_empty(), "HEAD has a body");
    for name in ["content-type", "etag", "content-length"] {
        ensure!(head.header(name) == get.header(name), "HEAD and GET differ in {name}");
    }
    ensure!(matches!(get.json(), Value::Object(_)), "no object");
    Ok(())
}

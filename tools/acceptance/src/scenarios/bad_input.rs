//! Whatever is sent, the answer is the right 4xx in the envelope: never a 5xx, never silence.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::Api,
    exchange::{self, InFlight, Reply},
    sessions::{Owned, SESSIONS, list, path_of},
};

use super::bad_bodies::{self, BadBody};
use crate::suite::Suite;

/// Bad input is seen at once; nothing needs to be waited for.
const PROMPT: Duration = Duration::from_secs(15);
/// A request that does not come to its end is given up by then.
const GIVEN_UP: Duration = Duration::from_secs(75);

pub(super) fn run(suite: &mut Suite<'_>, api: &Api) {
    suite.run("a bad body is refused, all its faults named at once", || {
        let before = list(api)?.len();
        all_refused(api, SESSIONS, bad_bodies::for_a_session())?;
        ensure!(list(api)?.len() == before, "a refused request made a session");
        Ok(())
    });
    suite.run("a bad phone is refused", || {
        let session = Owned::create(api, "bad phones")?;
        all_refused(api, &path_of(&session.id, "/pairing-code"), bad_bodies::for_a_code())?;
        ensure!(session.view()?["status"] == "stopped", "a refused request began a pairing");
        session.delete()
    });
    suite.run("a bad parameter is refused", || parameters(api));
    suite.run("a body of another kind is refused", || {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "nonsense", "image/png"] {
            let reply = api.send("POST", SESSIONS, &[("Content-Type", kind)], Some(b"{}"))?;
            reply.expect_error(415, "unsupported_media_type").context(kind)?;
        }
        Ok(())
    });
    if api.base().starts_with("https:") {
        return; // the rest is about bytes on a plain connection
    }
    suite.run("what is too large is refused", || too_large(api));
    suite.run("an id that cannot exist is not found", || odd_ids(api));
    suite.run("an encoded colon is no action", || encoded_colons(api));
    suite.run("what is not HTTP is turned away", || not_http(api));
    suite.run("a request that never ends is given up", || endless(api));
    suite.run("after all that berth serves on", || {
        let session = Owned::create(api, "still here")?;
        session.delete()
    });
}

fn all_refused(api: &Api, path: &str, bodies: Vec<BadBody>) -> Result<()> {
    for bad in bodies {
        let reply =
            exchange(api, "POST", path.as_bytes(), &[], Some(&bad.body)).context(bad.name)?;
        let reply = reply.expect_error(400, "validation_error").context(bad.name)?;
        let details = reply.json()["error"]["details"].to_string();
        for field in bad.fields {
            let named = Value::String((*field).to_owned()).to_string();
            ensure!(details.contains(&named), "{}: {field} is not named in {details}", bad.name);
        }
    }
    Ok(())
}

fn parameters(api: &Api) -> Result<()> {
    for limit in ["0", "201", "-1", "1.5", "ten", "", "99999999999999999999", "%00"] {
        let reply = api.get(&format!("{SESSIONS}?limit={limit}"))?;
        reply.expect_error(400, "validation_error").with_context(|| format!("limit={limit}"))?;
    }
    for cursor in ["x", "AAAA", "%ff", "sess_01", "eyJhIjoxfQ", &"A".repeat(5000)] {
        let reply = api.get(&format!("{SESSIONS}?cursor={cursor}"))?;
        reply.expect_error(400, "validation_error").with_context(|| format!("cursor={cursor}"))?;
    }
    let session = Owned::create(api, "bad waits")?;
    for wait in ["-1", "31", "x", "1e3"] {
        let reply = api.get(&path_of(&session.id, &format!("/qr?wait={wait}")))?;
        reply.expect_error(400, "validation_error").with_context(|| format!("wait={wait}"))?;
    }
    ensure!(session.view()?["status"] == "stopped", "a refused request began a pairing");
    session.delete()
}

fn too_large(api: &Api) -> Result<()> {
    let body = format!(r#"{{"label":"{}"}}"#, "x".repeat(2_000_000));
    let reply = exchange(api, "POST", SESSIONS.as_bytes(), &[], Some(body.as_bytes()))?;
    reply.expect_error(413, "payload_too_large").context("2 MB with its length")?;
    let chunked = [("Transfer-Encoding", "chunked")];
    let mut bytes = head(api, "POST", SESSIONS.as_bytes(), &chunked);
    bytes.extend_from_slice(format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes());
    reply_to(api, &bytes)?.expect_error(413, "payload_too_large").context("2 MB in chunks")?;
    let fat = "x".repeat(100_000);
    let reply = exchange(api, "GET", SESSIONS.as_bytes(), &[("X-Fat", &fat)], None)?;
    is_client_error(&reply).context("a header of 100 kB")?;
    let names: Vec<String> = (0..2000).map(|n| format!("X-{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let reply = exchange(api, "GET", SESSIONS.as_bytes(), &many, None)?;
    is_client_error(&reply).context("2000 headers")?;
    let long = format!("{SESSIONS}?limit={fat}");
    let reply = exchange(api, "GET", long.as_bytes(), &[], None)?;
    is_client_error(&reply).context("a query of 100 kB")
}

fn odd_ids(api: &Api) -> Result<()> {
    let long = "a".repeat(10_000);
    let ids: [&[u8]; 15] = [
        b"x",
        b"sess_",
        b"sess_x",
        b"SESS_01JAAAAAAAAAAAAAAAAAAAAAAA",
        b"%00",
        b"%ff%fe",
        b"%C3%28",
        b"%2e%2e",
        b"..",
        b"%2F",
        b"a%20b",
        b"'%20OR%201=1--",
        b"sess_01JAAAAAAAAAAAAAAAAAAAAAA%0a",
        b"%",
        long.as_bytes(),
    ];
    for id in ids {
        let shown = String::from_utf8_lossy(&id[..id.len().min(40)]).into_owned();
        for (method, what) in [("GET", ""), ("GET", "/me"), ("POST", ":stop"), ("DELETE", "")] {
            let path = [SESSIONS.as_bytes(), b"/", id, what.as_bytes()].concat();
            let reply = exchange(api, method, &path, &[], None).with_context(|| shown.clone())?;
            let name = || format!("{method} …/{shown}{what}");
            reply.expect_error(404, "not_found").with_context(name)?;
        }
    }
    for raw in [&b"\xff\xfe"[..], "ä".as_bytes(), b"a\x7fb"] {
        let path = [SESSIONS.as_bytes(), b"/", raw].concat();
        let reply = exchange(api, "GET", &path, &[], None)?;
        is_client_error(&reply).with_context(|| format!("unencoded {raw:?}"))?;
    }
    for path in ["/api/v1/sessions/", "/api/v1/sessions//me", "/api/v1/sessions/:stop"] {
        let reply = exchange(api, "GET", path.as_bytes(), &[], None)?;
        reply.expect_error(404, "not_found").context(path)?;
    }
    Ok(())
}

fn encoded_colons(api: &Api) -> Result<()> {
    let session = Owned::create(api, "colons")?;
    let before = session.view()?;
    for what in ["%3Alogout", "%3alogout", "%3Astop", ":logout:logout", ":LOGOUT", "%253Astop"] {
        let path = path_of(&session.id, what);
        let reply = exchange(api, "GET", path.as_bytes(), &[], None)?;
        reply.expect_error(404, "not_found").context(what)?;
        let reply = exchange(api, "POST", path.as_bytes(), &[], None)?;
        ensure!([404, 405].contains(&reply.status), "POST {what}: {}", reply.status);
        reply.envelope().context(what)?;
    }
    ensure!(session.view()? == before, "one of them did something");
    session.delete()
}

/// Where HTTP itself is broken, the envelope cannot be asked for; a refusal or a hang-up can.
fn not_http(api: &Api) -> Result<()> {
    let address = exchange::address(api.base())?;
    let host = "Host: berth\r\nConnection: close\r\n\r\n";
    let requests: [Vec<u8>; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        format!("GET {SESSIONS} HTTP/9.9\r\n{host}").into(),
        format!("GET {SESSIONS} with spaces HTTP/1.1\r\n{host}").into(),
        format!("GET {SESSIONS} HTTP/1.1\r\nbad header\r\n{host}").into(),
        format!(
            "GET {SESSIONS} HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n{host}abcdef"
        )
        .into(),
        format!("POST {SESSIONS} HTTP/1.1\r\nContent-Length: -1\r\n{host}").into(),
        format!("POST {SESSIONS} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{host}xyz\r\n").into(),
        [b"GET /\0 HTTP/1.1\r\n", host.as_bytes()].concat(),
    ];
    for request in requests {
        let shown = String::from_utf8_lossy(&request).into_owned();
        let answer = InFlight::send(address, &[&request[..], b"\r\n\r\n"].concat(), GIVEN_UP)?
            .finish()
            .with_context(|| shown.clone())?;
        let text = String::from_utf8_lossy(&answer);
        let refused =
            text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4");
        ensure!(refused, "{shown:?} is answered {text:?}");
    }
    Ok(())
}

/// Four that stop in the middle, at the same time: before the first byte, in the head, before and in
/// the body.
fn endless(api: &Api) -> Result<()> {
    let address = exchange::address(api.base())?;
    let body =
        [head(api, "POST", SESSIONS.as_bytes(), &[("Content-Length", "100")]), b"{".to_vec()];
    let requests = [
        ("silence", Vec::new()),
        ("half a head", b"GET /api/v1/sess".to_vec()),
        ("a head without a body", body[0].clone()),
        ("half a body", body.concat()),
    ];
    let threads =
        requests.map(|(name, bytes)| (name, thread::spawn(move || given_up(address, &bytes))));
    for (name, thread) in threads {
        let outcome = thread.join().map_err(|_| anyhow::anyhow!("it panicked"))?;
        outcome.context(name)?;
    }
    Ok(())
}

fn given_up(address: SocketAddr, bytes: &[u8]) -> Result<()> {
    let answer = InFlight::send(address, bytes, GIVEN_UP)?.finish()?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "it is answered {text:?}");
    Ok(())
}

fn is_client_error(reply: &Reply) -> Result<()> {
    ensure!((400..500).contains(&reply.status), "it is {}", reply.status);
    reply.envelope().map(drop)
}

/// The bytes of a request up to its body.
fn head(api: &Api, method: &str, path: &[u8], headers: &[(&str, &str)]) -> Vec<u8> {
    let headers = api.headers(headers, true);
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    exchange::request(method, path, &headers, None)
}

fn exchange(
    api: &Api,
    method: &str,
    path: &[u8],
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Reply> {
    if api.base().starts_with("https:") {
        return api.send(method, std::str::from_utf8(path)?, headers, body);
    }
    let headers = api.headers(headers, body.is_some());
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    reply_to(api, &exchange::request(method, path, &headers, body))
}

fn reply_to(api: &Api, bytes: &[u8]) -> Result<Reply> {
    InFlight::send(exchange::address(api.base())?, bytes, PROMPT)?.reply()
}

//! Requests that a library does not send, on the sockets and with the limits of the running program.
//!
//! `crates/http-hyper/tests` covers each kind of invalid input in process.

use std::{net::SocketAddr, thread, time::Duration};

use acceptance::deployment::Deployment;
use anyhow::{Context as _, Result, ensure};
use testbed::{
    client::Api,
    http::{self, PendingReply},
    sessions::{Owned, SESSIONS},
};

use crate::each_database;

/// Time after which the program ends a request that does not arrive completely.
const GIVEN_UP: Duration = Duration::from_secs(75);
/// Upper bound of the answer to a complete request.
const PROMPT: Duration = Duration::from_secs(15);

each_database!(
    shared: malformed_http_is_refused,
    oversized_request_lines_are_refused,
    incomplete_requests_time_out,
);

fn malformed_http_is_refused(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    not_http(&api)?;
    Owned::create(&api, "afterwards")?.delete()
}

fn oversized_request_lines_are_refused(deployment: &Deployment) -> Result<()> {
    let api = deployment.organization()?.api;
    let long = "x".repeat(100_000);
    let path = format!("{SESSIONS}?limit={long}");
    let names: Vec<String> = (0..2000).map(|n| format!("X-{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    for (path, headers) in
        [(path.as_str(), &[][..]), (SESSIONS, &[("X-Long", &*long)]), (SESSIONS, &many)]
    {
        let headers = api.headers(headers, false);
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let bytes = http::request("GET", path.as_bytes(), &headers, None);
        let reply = PendingReply::send(http::address(api.base())?, &bytes, PROMPT)?.reply()?;
        ensure!((400..500).contains(&reply.status), "{} bytes: {}", bytes.len(), reply.status);
        reply.envelope()?;
    }
    Ok(())
}

/// Bytes that are not HTTP are answered 4xx, or the connection closes; a JSON body is not required.
fn not_http(api: &Api) -> Result<()> {
    let address = http::address(api.base())?;
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
        let answer = PendingReply::send(address, &[&request[..], b"\r\n\r\n"].concat(), GIVEN_UP)?
            .finish()
            .with_context(|| shown.clone())?;
        let text = String::from_utf8_lossy(&answer);
        let refused =
            text.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4");
        ensure!(refused, "{shown:?} is answered {text:?}");
    }
    Ok(())
}

/// Sends four incomplete requests at the same time: they stop before the first byte, in the head, before
/// the body and in the body.
fn incomplete_requests_time_out(deployment: &Deployment) -> Result<()> {
    let api = &deployment.organization()?.api;
    let address = http::address(api.base())?;
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
    let answer = PendingReply::send(address, bytes, GIVEN_UP)?.finish()?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "it is answered {text:?}");
    Ok(())
}

/// Returns the bytes of a request up to its body.
fn head(api: &Api, method: &str, path: &[u8], headers: &[(&str, &str)]) -> Vec<u8> {
    let headers = api.headers(headers, true);
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    http::request(method, path, &headers, None)
}

//! The code flow of the login issuer (OIDC with PKCE): discovery, `/authorize` and `/token`.
//!
//! The issuer keeps no state: a code is the nonce and the challenge of its login.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::client::Credential;

/// The id of the router at the issuer.
pub(crate) const CLIENT: &str = "berth-ui";
/// The claim `exp` of ID tokens: the year 2100.
const FAR_AWAY: u64 = 4_102_444_800;
/// Maximum size of a request.
const MAX_REQUEST: usize = 16 * 1024;

/// Reads a request: the line, the headers and the body.
pub(crate) fn read_request(stream: &mut TcpStream) -> Result<String> {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part)?;
        request.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&request);
        let is_whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length = lengths.next().map_or(Ok(0), |(_, length)| length.parse::<usize>());
            length.is_ok_and(|length| body.len() >= length)
        });
        if is_whole || read == 0 {
            return Ok(text.into_owned());
        }
        ensure!(request.len() <= MAX_REQUEST, "a long request");
    }
}

/// Returns the answer to a request of the code flow; `None` for any other request.
pub(crate) fn answer(
    request: &str,
    address: SocketAddr,
    person: &Value,
    sign: &dyn Fn(Value) -> Credential,
) -> Option<String> {
    let (head, body) = request.split_once("\r\n\r\n")?;
    let target = head.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let issuer = format!("http://{address}");
    match path {
        "/.well-known/openid-configuration" => Some(json_answer(&json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
        }))),
        "/authorize" => Some(authorize(query).unwrap_or_else(|error| bad_request(&error))),
        "/token" => {
            let claims = check_code(body).map(|nonce| claims(&issuer, &nonce, person));
            Some(match claims {
                Ok(claims) => {
                    let token = sign(claims);
                    json_answer(&json!({ "token_type": "Bearer", "id_token": token.text() }))
                }
                Err(error) => bad_request(&error),
            })
        }
        _ => None,
    }
}

fn authorize(query: &str) -> Result<String> {
    let field = |name: &str| field(query, name);
    ensure!(field("client_id")? == CLIENT, "another client");
    ensure!(field("code_challenge_method")? == "S256", "no PKCE");
    let code = json!([field("nonce")?, field("code_challenge")?]).to_string();
    let (code, state) = (URL_SAFE_NO_PAD.encode(code), field("state")?);
    let location = format!("{}?code={code}&state={state}", field("redirect_uri")?);
    Ok(format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

/// Checks a code with its verifier; returns the nonce of the login.
fn check_code(form: &str) -> Result<String> {
    let code = URL_SAFE_NO_PAD.decode(field(form, "code")?)?;
    let (nonce, challenge): (String, String) = serde_json::from_slice(&code)?;
    let verifier = field(form, "code_verifier")?;
    let is_proved = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == challenge;
    ensure!(is_proved, "another verifier");
    Ok(nonce)
}

fn claims(issuer: &str, nonce: &str, person: &Value) -> Value {
    let mut claims = json!({ "iss": issuer, "aud": CLIENT, "exp": FAR_AWAY, "nonce": nonce });
    if let (Some(claims), Some(person)) = (claims.as_object_mut(), person.as_object()) {
        claims.extend(person.clone());
    }
    claims
}

fn field(form: &str, name: &str) -> Result<String> {
    let mut pairs = form.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.find(|(given, _)| *given == name).map(|(_, value)| decoded(value));
    value.with_context(|| format!("no {name}"))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits =
            (byte == b'%').then(|| [rest.next(), rest.next()].map(Option::unwrap_or_default));
        let escaped = digits.and_then(|digits| {
            let digits = std::str::from_utf8(&digits).ok()?.to_owned();
            u8::from_str_radix(&digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn json_answer(body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

fn bad_request(error: &anyhow::Error) -> String {
    let body = json!({ "error": "invalid_grant", "error_description": error.to_string() });
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

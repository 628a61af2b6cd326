//! Parses a login token: three parts in canonical base64url and a header without unsupported
//! features. This module does not verify the signature, so its results are not trustworthy yet.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::json;

/// Why a token is rejected, as the log states it. Contains no part of the token.
pub(crate) type Cause = &'static str;

/// The maximum length of a token in bytes.
const MAX_LENGTH: usize = 8 * 1024;
const MAX_KEY_ID_LENGTH: usize = 256;
/// Header members that change the meaning of the token: encrypted, compressed, nested or unencoded
/// content, and mandatory extensions. berth supports none of them.
const UNSUPPORTED_MEMBERS: [(&str, Cause); 5] = [
    ("crit", "the token asks for extensions"),
    ("cty", "the token holds another token"),
    ("enc", "the token is encrypted"),
    ("zip", "the token is compressed"),
    ("b64", "the token asks for another encoding"),
];

/// The parts of a token.
pub(crate) struct Token<'a> {
    /// The signed text: encoded header and claims.
    pub(crate) message: &'a str,
    /// The signature in base64url.
    pub(crate) signature: &'a str,
    /// One of the five accepted algorithms.
    pub(crate) algorithm: Algorithm,
    /// From `kid`; `None` when the header has no `kid`.
    pub(crate) key_id: Option<String>,
    /// The decoded JSON text of the claims.
    pub(crate) payload: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Rejects a text that is too long to be parsed.
    pub(crate) fn check_length(text: &'a str) -> Result<&'a str, Cause> {
        if text.len() > MAX_LENGTH { Err("the token is too long") } else { Ok(text) }
    }

    /// Parses a token without verifying its signature.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Cause> {
        let mut parts = Self::check_length(text)?.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("not a token of three parts");
        };
        let header = decode(header)?;
        let payload = decode(claims)?;
        if decode(signature)?.is_empty() {
            return Err("the token is not signed");
        }
        let header = json::object(&header).ok_or("the token's header is not a JSON object")?;
        let header = header.as_object().ok_or("the token's header is not a JSON object")?;
        let message = &text[..text.len() - signature.len() - 1];
        let (algorithm, key_id) = (check_header(header)?, key_id(header)?);
        Ok(Self { message, signature, algorithm, key_id, payload })
    }
}

/// Decodes a part. Padding, white space, other alphabets and non-zero trailing bits are rejected,
/// so that a token has exactly one text.
fn decode(part: &str) -> Result<Vec<u8>, Cause> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of the token is not canonical base64url")
}

fn check_header(header: &Map<String, Value>) -> Result<Algorithm, Cause> {
    let mut unsupported = UNSUPPORTED_MEMBERS.iter();
    if let Some((_, cause)) = unsupported.find(|(name, _)| header.contains_key(*name)) {
        return Err(cause);
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(typ)) if is_login_type(typ) => {}
        Some(_) => return Err("the token is of another type"),
    }
    algorithm(header.get("alg").and_then(Value::as_str))
}

fn is_login_type(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

/// Returns one of the five accepted algorithms. `none` and algorithms with a shared secret are
/// rejected. Names are case-sensitive.
fn algorithm(name: Option<&str>) -> Result<Algorithm, Cause> {
    match name {
        Some("RS256") => Ok(Algorithm::RS256),
        Some("PS256") => Ok(Algorithm::PS256),
        Some("ES256") => Ok(Algorithm::ES256),
        Some("ES384") => Ok(Algorithm::ES384),
        Some("EdDSA") => Ok(Algorithm::EdDSA),
        _ => Err("the token's algorithm is not accepted"),
    }
}

fn key_id(header: &Map<String, Value>) -> Result<Option<String>, Cause> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if (1..=MAX_KEY_ID_LENGTH).contains(&id.len()) => {
            Ok(Some(id.clone()))
        }
        Some(_) => Err("the token's key id is not a text of 1 to 256 bytes"),
    }
}

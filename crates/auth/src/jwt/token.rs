//! The outer shape of a login token: three parts of canonical base64url and a header that asks for
//! nothing we do not do. Nothing here is believed yet; only the signature makes it true.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::json;

/// Why a token is refused: for the log, and without a word of the token in it.
pub(crate) type Cause = &'static str;

const LONGEST: usize = 8 * 1024;
const LONGEST_KEY_ID: usize = 256;
/// Header members that change what the rest means: encrypted, compressed, nested or unencoded
/// content, and extensions that must be understood. We understand none of them.
const MEANING: [(&str, Cause); 5] = [
    ("crit", "the token asks for extensions"),
    ("cty", "the token holds another token"),
    ("enc", "the token is encrypted"),
    ("zip", "the token is compressed"),
    ("b64", "the token asks for another encoding"),
];

/// A token taken apart.
pub(crate) struct Token<'a> {
    /// What was signed: header and claims as they were sent.
    pub(crate) message: &'a str,
    /// Still encoded.
    pub(crate) signature: &'a str,
    /// One of the five we verify.
    pub(crate) algorithm: Algorithm,
    /// Which key it says it was signed with.
    pub(crate) key_id: Option<String>,
    /// The claims, decoded but not read.
    pub(crate) payload: Vec<u8>,
}

impl<'a> Token<'a> {
    /// A text that is not too long to look at.
    pub(crate) fn bounded(text: &'a str) -> Result<&'a str, Cause> {
        if text.len() > LONGEST { Err("the token is too long") } else { Ok(text) }
    }

    /// Takes a token apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Cause> {
        let mut parts = Self::bounded(text)?.split('.');
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
        let (algorithm, key_id) = (read(header)?, key_id(header)?);
        Ok(Self { message, signature, algorithm, key_id, payload })
    }
}

/// Padding, white space, other alphabets and stray last bits are refused: one token, one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Cause> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of the token is not canonical base64url")
}

fn read(header: &Map<String, Value>) -> Result<Algorithm, Cause> {
    if let Some((_, cause)) = MEANING.iter().find(|(name, _)| header.contains_key(*name)) {
        return Err(cause);
    }
    match header.get("typ") {
        None => {}
        Some(Value::String(kind)) if is_login(kind) => {}
        Some(_) => return Err("the token is of another type"),
    }
    algorithm(header.get("alg").and_then(Value::as_str))
}

fn is_login(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// The five we verify, spelt exactly: never `none`, never a shared secret.
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
        Some(Value::String(id)) if (1..=LONGEST_KEY_ID).contains(&id.len()) => Ok(Some(id.clone())),
        Some(_) => Err("the token's key id cannot be one"),
    }
}

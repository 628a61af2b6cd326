//! Tokens that must be refused, each with its cause. Every token that can have a valid signature
//! has one, so that the named fault alone causes the refusal.

use auth::Config;
use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Value, json};

use crate::{
    algorithms, forged,
    signer::{Signer, claims, encode},
    world::{NOW, World, denied, inline},
};

pub(crate) const ALGORITHM: &str = "the token's algorithm is not accepted";
pub(crate) const MISFIT: &str = "the token's algorithm does not fit the key";
pub(crate) const SIGNATURE: &str = "the token's signature is wrong";
const BASE64: &str = "a part of the token is not canonical base64url";
const PARTS: &str = "not a token of three parts";
pub(crate) const UNSIGNED: &str = "the token is not signed";
const HEADER: &str = "the token's header is not a JSON object";
const UNKNOWN: &str = "the token's key is unknown";
const KEY_ID: &str = "the token's key id is not a text of 1 to 256 bytes";
const TYPE: &str = "the token is of another type";
const EXTENSIONS: &str = "the token asks for extensions";
const TIME: &str = "a time in the token is not a number of seconds";
const CLAIMS: &str = "the claims are not a JSON object";
const ISSUER: &str = "the issuer is not text";
const AUDIENCE: &str = "the audience is not text";

pub(crate) type Case = (&'static str, String, &'static str);

/// The number of tokens. Must change with every case that is added or removed.
const CORPUS: usize = 225;

/// The issuer's keys, one of each kind.
pub(crate) struct Keys {
    pub(crate) rsa: Signer,
    pub(crate) ec: Signer,
    pub(crate) ec384: Signer,
    pub(crate) ed: Signer,
}

impl Keys {
    fn new() -> Self {
        Self {
            rsa: Signer::new(Algorithm::RS256, "rsa"),
            ec: Signer::new(Algorithm::ES256, "ec"),
            ec384: Signer::new(Algorithm::ES384, "ec384"),
            ed: Signer::new(Algorithm::EdDSA, "ed"),
        }
    }

    /// Returns the public keys without `alg`, so that the key type alone restricts the algorithm.
    fn published(&self) -> Vec<Value> {
        [&self.rsa, &self.ec, &self.ec384, &self.ed]
            .map(|signer| {
                let mut jwk = signer.bare_jwk();
                jwk["kid"] = json!(signer.id);
                jwk
            })
            .to_vec()
    }
}

#[tokio::test]
async fn hostile_tokens_are_refused_each_for_its_own_cause() {
    let keys = Keys::new();
    let expectations = Config {
        issuer: Some("https://id.example".into()),
        audience: Some("berth".into()),
        ..inline(&keys.published())
    };
    let world = World::new(expectations).await;
    for signer in [&keys.rsa, &keys.ec, &keys.ec384, &keys.ed] {
        // Proves that the refusals below are not caused by the keys.
        assert!(world.bearer(&signer.token(&claims())).await.is_ok(), "{}", signer.id);
    }
    let cases = [
        algorithms::algorithms(&keys),
        forged::signatures(&keys),
        encodings(&keys),
        headers(&keys.ed),
        key_ids(&keys.ed),
        times(&keys.ed),
        contents(&keys.ed),
        origins(&keys.ed),
    ]
    .concat();
    assert_eq!(cases.len(), CORPUS, "tokens in the corpus");
    for (name, token, reason) in cases {
        let answer = world.bearer(&token).await;
        assert!(answer.is_err(), "{name} passed");
        assert_eq!(denied(answer), reason, "{name}");
    }
}

/// Returns cases with a wrong number of parts or an encoding that is not canonical.
fn encodings(keys: &Keys) -> Vec<Case> {
    let ed = &keys.ed;
    let token = ed.token(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let (header, body, signature) = (parts[0], parts[1], parts[2]);
    // The last digit of 64 encoded bytes has four unused bits.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(signature.chars().last().unwrap()).unwrap();
    let trailing_bits = &alphabet[last + 1..last + 2];
    let trailing_bits =
        format!("{header}.{body}.{}{trailing_bits}", &signature[..signature.len() - 1]);
    let long = ed.with_claims(json!({ "more": "x".repeat(8 * 1024) }));
    let encrypted = encode(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","kid":"rsa","cty":"JWT"}"#);
    let parts = [encrypted, encode([7; 256]), encode([7; 12]), body.to_owned(), encode([7; 16])];
    let in_json =
        json!({ "protected": header, "payload": body, "signature": signature }).to_string();
    vec![
        ("an empty token", String::new(), PARTS),
        ("one part", header.to_owned(), PARTS),
        ("two parts", format!("{header}.{body}"), PARTS),
        ("four parts", format!("{token}."), PARTS),
        ("five parts, an encrypted token", format!("{token}.AA.AA"), PARTS),
        ("a truly encrypted token", parts.join("."), PARTS),
        ("a token in JSON", in_json, PARTS),
        ("claims that are sent elsewhere", format!("{header}..{signature}"), SIGNATURE),
        ("parts in another order", format!("{body}.{header}.{signature}"), ALGORITHM),
        ("no signature", format!("{header}.{body}."), UNSIGNED),
        ("empty parts", "..".to_owned(), UNSIGNED),
        ("no header", format!(".{body}.{signature}"), HEADER),
        ("unused last bits set", trailing_bits, BASE64),
        ("padding", format!("{token}=="), BASE64),
        ("a line break behind", format!("{token}\n"), BASE64),
        ("a space before", format!(" {token}"), BASE64),
        ("a zero byte behind", format!("{token}\0"), BASE64),
        ("another alphabet", format!("{header}.{body}.{}+/", &signature[..84]), BASE64),
        ("not ASCII", format!("{header}.{body}.é"), BASE64),
        ("more than 8 kB", long, "the token is too long"),
    ]
}

/// Returns cases with unsupported or malformed headers.
fn headers(ed: &Signer) -> Vec<Case> {
    let good = claims().to_string();
    let header = |more: Value| ed.with_header(more);
    let double = r#"{"alg":"EdDSA","kid":"ed","alg":"EdDSA"}"#;
    let escaped = r#"{"alg":"EdDSA","kid":"ed","\u0061lg":"EdDSA"}"#;
    let nested = "the token holds another token";
    vec![
        (
            "crit with an unknown extension",
            header(json!({ "crit": ["exp"], "exp": 1 })),
            EXTENSIONS,
        ),
        ("crit, empty", header(json!({ "crit": [] })), EXTENSIONS),
        ("crit, null", header(json!({ "crit": null })), EXTENSIONS),
        ("crit of b64", header(json!({ "crit": ["b64"], "b64": false })), EXTENSIONS),
        ("b64 alone", header(json!({ "b64": false })), "the token asks for another encoding"),
        ("a nested token", header(json!({ "cty": "JWT" })), nested),
        (
            "an encrypted token's header",
            header(json!({ "enc": "A256GCM" })),
            "the token is encrypted",
        ),
        ("a compressed token", header(json!({ "zip": "DEF" })), "the token is compressed"),
        ("a logout token", header(json!({ "typ": "logout+jwt" })), TYPE),
        ("a proof of possession", header(json!({ "typ": "dpop+jwt" })), TYPE),
        ("a type that is no text", header(json!({ "typ": 1 })), TYPE),
        ("a member twice", ed.sign(double, &good), HEADER),
        ("a member twice, once in escapes", ed.sign(escaped, &good), HEADER),
        ("a header that is null", ed.sign("null", &good), HEADER),
        ("a header that is text", ed.sign("\"EdDSA\"", &good), HEADER),
        ("a header a thousand deep", ed.sign(&"[".repeat(1000), &good), HEADER),
        (
            "a header in UTF-16",
            signed(ed, &utf16(&ed.header().to_string()), good.as_bytes()),
            HEADER,
        ),
        ("a nested token, in small letters", header(json!({ "cty": "jwt" })), nested),
        ("an identity token's hash of a code", header(json!({ "typ": "id_token" })), TYPE),
        ("an encrypted token's type", header(json!({ "typ": "JWE" })), TYPE),
        ("a type with a parameter", header(json!({ "typ": "JWT; x=y" })), TYPE),
        ("a header that is a list", ed.sign("[]", &good), HEADER),
        ("a header with a tail", ed.sign(&format!("{}x", ed.header()), &good), HEADER),
        ("a header that is a token", ed.sign(&ed.token(&claims()), &good), HEADER),
        ("a forger's key in the header", forged(ed, "jwk"), SIGNATURE),
        ("a forger's key set by address", forged(ed, "jku"), SIGNATURE),
        ("a forger's certificate", forged(ed, "x5c"), SIGNATURE),
    ]
}

/// Returns cases with unknown or malformed key ids.
fn key_ids(ed: &Signer) -> Vec<Case> {
    let header = |more: Value| ed.with_header(more);
    vec![
        ("a key id that is a path", header(json!({ "kid": "../../../dev/null" })), UNKNOWN),
        ("a key id that is SQL", header(json!({ "kid": "x' UNION SELECT 'k" })), UNKNOWN),
        ("a key id that is a URL", header(json!({ "kid": "http://127.0.0.1/k" })), UNKNOWN),
        ("a key id with a zero byte", header(json!({ "kid": "ed\0" })), UNKNOWN),
        ("a key id in capitals", header(json!({ "kid": "ED" })), UNKNOWN),
        (
            "a key id of 10 kB",
            header(json!({ "kid": "k".repeat(10_000) })),
            "the token is too long",
        ),
        ("a key id of 5 kB", header(json!({ "kid": "k".repeat(5_000) })), KEY_ID),
        ("an empty key id", header(json!({ "kid": "" })), KEY_ID),
        ("a key id that is a number", header(json!({ "kid": 1 })), KEY_ID),
        ("a key id that is null", header(json!({ "kid": null })), KEY_ID),
    ]
}

/// Returns a token that is signed by a key in its own header, under the key id of the issuer's key.
fn forged(ed: &Signer, place: &str) -> String {
    let forger = Signer::new(Algorithm::EdDSA, &ed.id);
    forger.with_header(match place {
        "jwk" => json!({ "jwk": forger.jwk() }),
        "jku" => json!({ "jku": "http://127.0.0.1:9/jwks" }),
        _ => json!({ "x5c": ["MIIB"], "x5u": "http://127.0.0.1:9/c", "x5t": "AA" }),
    })
}

/// Returns cases with expired, future or malformed times.
fn times(ed: &Signer) -> Vec<Case> {
    let raw = |exp: &str| ed.sign(&ed.header().to_string(), &format!(r#"{{"exp":{exp}}}"#));
    let with = |more: Value| ed.with_claims(more);
    let later: Value = serde_json::from_str(&format!("{}.001", NOW + 30)).unwrap();
    vec![
        ("no expiry", with(json!({ "exp": null })), "the token has no expiry"),
        ("long expired", with(json!({ "exp": NOW - 3600 })), "the token has expired"),
        ("expired to the second", with(json!({ "exp": NOW - 30 })), "the token has expired"),
        ("expiry zero", with(json!({ "exp": 0 })), "the token has expired"),
        ("expiry below zero", with(json!({ "exp": -1 })), TIME),
        ("expiry as text", with(json!({ "exp": "1900000000" })), TIME),
        ("expiry null", raw("null"), "the token has no expiry"),
        ("expired by a fraction", raw(&format!("{}.999", NOW - 31)), "the token has expired"),
        ("expiry below zero by a fraction", raw("-0.5"), TIME),
        ("expiry just past the year 9999", raw("253402300799.5"), TIME),
        ("expiry of 2^63", raw("9223372036854775808"), TIME),
        ("expiry of 2^63 - 1", raw("9223372036854775807"), TIME),
        ("expiry past all numbers", raw("1e999"), CLAIMS),
        ("expiry in milliseconds", raw("1900000000000"), TIME),
        ("expiry of minus zero", raw("-0"), "the token has expired"),
        ("expiry with a zero before", raw("01900000000"), CLAIMS),
        ("expiry that is no number", raw("NaN"), CLAIMS),
        ("expiry of 2^64", raw("18446744073709551616"), TIME),
        ("expiry as an object", raw("{}"), TIME),
        ("expiry as a list", raw("[1900000000]"), TIME),
        ("expiry true", raw("true"), TIME),
        ("not yet valid", with(json!({ "nbf": NOW + 60 })), "the token is not valid yet"),
        (
            "not yet valid by a fraction",
            with(json!({ "nbf": later })),
            "the token is not valid yet",
        ),
        ("validity below zero", with(json!({ "nbf": -1 })), TIME),
        ("valid in milliseconds", with(json!({ "nbf": NOW * 1000 })), TIME),
        ("validity as text", with(json!({ "nbf": "0" })), TIME),
        ("validity of 2^63", with(json!({ "nbf": u64::MAX })), TIME),
        ("issued as text", with(json!({ "iat": "now" })), TIME),
    ]
}

/// Returns cases with malformed claims.
fn contents(ed: &Signer) -> Vec<Case> {
    let raw = |claims: &str| ed.sign(&ed.header().to_string(), claims);
    let with = |more: Value| ed.with_claims(more);
    let double = format!(r#"{{"exp":{},"exp":1}}"#, NOW + 60);
    let double_deep = format!(r#"{{"exp":{},"o":{{"id":"a","id":"b"}}}}"#, NOW + 60);
    let (good, latin) = (claims().to_string(), b"{\"exp\":1900000000,\"sub\":\"J\xfcrgen\"}");
    vec![
        ("claims that are a list", raw("[]"), CLAIMS),
        ("claims that are text", raw("\"x\""), CLAIMS),
        ("no claims", raw(""), CLAIMS),
        ("claims with a tail", raw(&format!("{}{{}}", claims())), CLAIMS),
        ("claims that are a token", raw(&ed.token(&claims())), CLAIMS),
        ("claims in UTF-16", signed(ed, ed.header().to_string().as_bytes(), &utf16(&good)), CLAIMS),
        ("claims that are no text", signed(ed, ed.header().to_string().as_bytes(), latin), CLAIMS),
        ("claims with a mark before", raw(&format!("\u{feff}{good}")), CLAIMS),
        ("claims with half a character", raw(r#"{"exp":1900000000,"sub":"\ud800"}"#), CLAIMS),
        ("claims with a comment", raw(&format!("{good}//")), CLAIMS),
        ("claims with a comma too many", raw(r#"{"exp":1900000000,}"#), CLAIMS),
        ("claims in single quotes", raw("{'exp':1900000000}"), CLAIMS),
        ("an expiry twice", raw(&double), CLAIMS),
        ("an organization twice", raw(&double_deep), CLAIMS),
        ("claims a thousand deep", raw(&"[".repeat(1000)), CLAIMS),
        ("a subject that is a number", with(json!({ "sub": 1 })), "the subject is not text"),
    ]
}

/// Returns cases with a wrong or malformed issuer or audience.
fn origins(ed: &Signer) -> Vec<Case> {
    let with = |more: Value| ed.with_claims(more);
    let another_issuer = "the token is of another issuer";
    let another_audience = "the token is for another audience";
    vec![
        ("no issuer", with(json!({ "iss": null })), another_issuer),
        ("another issuer", with(json!({ "iss": "https://evil.example" })), another_issuer),
        ("the issuer with a slash", with(json!({ "iss": "https://id.example/" })), another_issuer),
        ("the issuer in capitals", with(json!({ "iss": "https://ID.example" })), another_issuer),
        (
            "the issuer and a zero byte",
            with(json!({ "iss": "https://id.example\0" })),
            another_issuer,
        ),
        ("no text for an issuer", with(json!({ "iss": "" })), another_issuer),
        ("the issuer in a list", with(json!({ "iss": ["https://id.example"] })), ISSUER),
        ("the issuer in an object", with(json!({ "iss": { "a": 1 } })), ISSUER),
        ("no audience", with(json!({ "aud": null })), another_audience),
        ("another audience", with(json!({ "aud": "berth2" })), another_audience),
        ("our audience as a part", with(json!({ "aud": "berth other" })), another_audience),
        ("our audience in capitals", with(json!({ "aud": ["BERTH"] })), another_audience),
        ("no text for an audience", with(json!({ "aud": "" })), another_audience),
        ("an empty list for an audience", with(json!({ "aud": [] })), another_audience),
        ("an audience that is true", with(json!({ "aud": true })), AUDIENCE),
        ("an audience that is a number", with(json!({ "aud": 1 })), AUDIENCE),
        ("an audience that is an object", with(json!({ "aud": { "berth": 1 } })), AUDIENCE),
        ("our audience among numbers", with(json!({ "aud": ["berth", 1] })), AUDIENCE),
        ("our audience in a list in a list", with(json!({ "aud": [["berth"]] })), AUDIENCE),
    ]
}

/// Encodes and signs arbitrary bytes.
fn signed(signer: &Signer, header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = crypto::sign(message.as_bytes(), &signer.key, signer.algorithm).unwrap();
    format!("{message}.{signature}")
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

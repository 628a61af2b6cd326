//! Tokens that must not pass, each with the reason it is refused. Where a token could be truly
//! signed it is: what is refused is then the one thing its name says.

use auth::Config;
use base64::Engine;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use crate::{
    signer::{Signer, claims, encode},
    world::{NOW, World, denied, inline},
};

const ALGORITHM: &str = "the token's algorithm is not accepted";
const MISFIT: &str = "the token's algorithm does not fit the key";
const SIGNATURE: &str = "the token's signature is wrong";
const BASE64: &str = "a part of the token is not canonical base64url";
const PARTS: &str = "not a token of three parts";
const UNSIGNED: &str = "the token is not signed";
const HEADER: &str = "the token's header is not a JSON object";
const UNKNOWN: &str = "the token's key is unknown";
const KEY_ID: &str = "the token's key id cannot be one";
const TYPE: &str = "the token is of another type";
const EXTENSIONS: &str = "the token asks for extensions";
const TIME: &str = "a time in the token is not a whole number of seconds";
const CLAIMS: &str = "the claims are not a JSON object";
const ISSUER: &str = "the issuer is not text";
const AUDIENCE: &str = "the audience is not text";

type Case = (&'static str, String, &'static str);

/// The issuer's keys, one of each kind.
struct Keys {
    rsa: Signer,
    ec: Signer,
    ed: Signer,
}

impl Keys {
    fn new() -> Self {
        Self {
            rsa: Signer::new(Algorithm::RS256, "rsa"),
            ec: Signer::new(Algorithm::ES256, "ec"),
            ed: Signer::new(Algorithm::EdDSA, "ed"),
        }
    }

    /// Without `alg`, so that only the kind of key stands between algorithms.
    fn published(&self) -> Vec<Value> {
        [&self.rsa, &self.ec, &self.ed]
            .map(|signer| {
                let mut jwk = signer.bare_jwk();
                jwk["kid"] = json!(signer.id);
                jwk
            })
            .to_vec()
    }
}

#[tokio::test]
async fn no_hostile_token_passes_and_each_is_refused_for_its_own_reason() {
    let keys = Keys::new();
    let expectations = Config {
        issuer: Some("https://id.example".into()),
        audience: Some("berth".into()),
        ..inline(&keys.published())
    };
    let world = World::new(expectations).await;
    for signer in [&keys.rsa, &keys.ec, &keys.ed] {
        // Otherwise a refusal below would prove nothing.
        assert!(world.bearer(&signer.token(&claims())).await.is_ok(), "{}", signer.id);
    }
    let cases = [
        algorithms(&keys),
        signatures(&keys),
        encodings(&keys.ed),
        headers(&keys.ed),
        times(&keys.ed),
        contents(&keys.ed),
    ]
    .concat();
    assert!(cases.len() >= 80, "{}", cases.len());
    for (name, token, reason) in cases {
        let answer = world.bearer(&token).await;
        assert!(answer.is_err(), "{name} passed");
        assert_eq!(denied(answer), reason, "{name}");
    }
}

/// `none`, shared secrets, and algorithms crossed with keys.
fn algorithms(keys: &Keys) -> Vec<Case> {
    let body = encode(claims().to_string());
    let mut cases = Vec::new();
    for spelling in
        ["none", "None", "NONE", "nOnE", "none ", "", "HS256 ", "es256", "eddsa", "rs256"]
    {
        let header = encode(json!({ "alg": spelling, "typ": "JWT" }).to_string());
        cases.push(("an algorithm spelt like none", format!("{header}.{body}.AA"), ALGORITHM));
        cases.push(("the same, unsigned", format!("{header}.{body}."), UNSIGNED));
    }
    let public_key = keys.rsa.bare_jwk().to_string();
    let modulus = keys.rsa.bare_jwk()["n"].as_str().unwrap().to_owned();
    for secret in [public_key.as_bytes(), modulus.as_bytes(), b""] {
        let header = encode(json!({ "alg": "HS256", "kid": "rsa" }).to_string());
        let message = format!("{header}.{body}");
        let key = EncodingKey::from_secret(secret);
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        cases.push(("HMAC keyed with public text", format!("{message}.{signature}"), ALGORITHM));
    }
    for unaccepted in
        ["HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES512", "ES256K", "Ed448"]
    {
        let token = keys.rsa.with_header(json!({ "alg": unaccepted }));
        cases.push(("an algorithm we do not accept", token, ALGORITHM));
    }
    for (name, alg) in [("a number", json!(1)), ("null", json!(null)), ("a list", json!(["EdDSA"]))]
    {
        cases.push((name, keys.ed.with_header(json!({ "alg": alg })), ALGORITHM));
    }
    let typ_only = keys.ed.sign(r#"{"typ":"JWT","kid":"ed"}"#, &claims().to_string());
    cases.extend([
        ("no algorithm at all", typ_only, ALGORITHM),
        ("an RSA algorithm for an EC key", keys.ec.with_header(json!({ "alg": "RS256" })), MISFIT),
        ("an EC algorithm for an RSA key", keys.rsa.with_header(json!({ "alg": "ES256" })), MISFIT),
        ("EdDSA for an EC key", keys.ec.with_header(json!({ "alg": "EdDSA" })), MISFIT),
        ("ES384 for a P-256 key", keys.ec.with_header(json!({ "alg": "ES384" })), MISFIT),
        ("PSS promised, PKCS#1 signed", keys.rsa.with_header(json!({ "alg": "PS256" })), SIGNATURE),
        ("another key's name", keys.ed.with_header(json!({ "kid": "ec" })), MISFIT),
    ]);
    cases
}

/// Signatures that are none.
fn signatures(keys: &Keys) -> Vec<Case> {
    let with = |signer: &Signer, signature: &[u8]| {
        let token = signer.token(&claims());
        format!("{}.{}", token.rsplit_once('.').unwrap().0, encode(signature))
    };
    let ec_token = keys.ec.token(&claims());
    let (message, signature) = ec_token.rsplit_once('.').unwrap();
    let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
    let half_zero = |zero: std::ops::Range<usize>| {
        let mut bytes = raw.clone();
        bytes[zero].fill(0);
        format!("{message}.{}", encode(bytes))
    };
    // ASN.1, as other protocols encode the two numbers.
    let der = [&[0x30, 0x44, 0x02, 0x20], &raw[..32], &[0x02, 0x20], &raw[32..]].concat();
    let mut flipped = raw.clone();
    flipped[63] ^= 1;
    let long = [raw.as_slice(), &[0]].concat();
    vec![
        ("ES256 of r = s = 0", with(&keys.ec, &[0; 64]), SIGNATURE),
        ("ES256 of r = 0", half_zero(0..32), SIGNATURE),
        ("ES256 of s = 0", half_zero(32..64), SIGNATURE),
        ("ES256 of all ones", with(&keys.ec, &[0xff; 64]), SIGNATURE),
        ("ES256 in ASN.1", format!("{message}.{}", encode(der)), SIGNATURE),
        ("one bit changed", format!("{message}.{}", encode(flipped)), SIGNATURE),
        ("a byte behind the signature", format!("{message}.{}", encode(long)), SIGNATURE),
        ("a byte less", format!("{message}.{}", encode(&raw[..63])), SIGNATURE),
        ("one byte for a signature", with(&keys.ec, &[0]), SIGNATURE),
        ("EdDSA of zeros", with(&keys.ed, &[0; 64]), SIGNATURE),
        ("RSA of zeros", with(&keys.rsa, &[0; 256]), SIGNATURE),
        ("RSA of one", with(&keys.rsa, &[vec![0; 255], vec![1]].concat()), SIGNATURE),
    ]
}

/// One token has one spelling, and three parts.
fn encodings(ed: &Signer) -> Vec<Case> {
    let token = ed.token(&claims());
    let parts: Vec<_> = token.split('.').collect();
    let (header, body, signature) = (parts[0], parts[1], parts[2]);
    // 64 bytes end in a digit of which four bits mean nothing.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(signature.chars().last().unwrap()).unwrap();
    let stray = &alphabet[last + 1..last + 2];
    let stray = format!("{header}.{body}.{}{stray}", &signature[..signature.len() - 1]);
    let long = ed.with_claims(json!({ "more": "x".repeat(8 * 1024) }));
    vec![
        ("an empty token", String::new(), PARTS),
        ("one part", header.to_owned(), PARTS),
        ("two parts", format!("{header}.{body}"), PARTS),
        ("four parts", format!("{token}."), PARTS),
        ("five parts, an encrypted token", format!("{token}.AA.AA"), PARTS),
        ("no signature", format!("{header}.{body}."), UNSIGNED),
        ("empty parts", "..".to_owned(), UNSIGNED),
        ("no header", format!(".{body}.{signature}"), HEADER),
        ("stray last bits", stray, BASE64),
        ("padding", format!("{token}=="), BASE64),
        ("a line break behind", format!("{token}\n"), BASE64),
        ("a space before", format!(" {token}"), BASE64),
        ("a zero byte behind", format!("{token}\0"), BASE64),
        ("the other alphabet", format!("{header}.{body}.{}+/", &signature[..84]), BASE64),
        ("not ASCII", format!("{header}.{body}.é"), BASE64),
        ("more than 8 kB", long, "the token is too long"),
    ]
}

/// Headers that ask for what we do not do, or name what cannot be a key.
fn headers(ed: &Signer) -> Vec<Case> {
    let good = claims().to_string();
    let header = |more: Value| ed.with_header(more);
    let double = r#"{"alg":"EdDSA","kid":"ed","alg":"EdDSA"}"#;
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
        ("a member twice", ed.sign(double, &good), HEADER),
        ("a header that is a list", ed.sign("[]", &good), HEADER),
        ("a header with a tail", ed.sign(&format!("{}x", ed.header()), &good), HEADER),
        ("a header that is a token", ed.sign(&ed.token(&claims()), &good), HEADER),
        ("a forger's key in the header", forged(ed, "jwk"), SIGNATURE),
        ("a forger's key set by address", forged(ed, "jku"), SIGNATURE),
        ("a forger's certificate", forged(ed, "x5c"), SIGNATURE),
    ]
}

/// Signed by a key that the token brings along or points to, under the issuer's key's name.
fn forged(ed: &Signer, place: &str) -> String {
    let forger = Signer::new(Algorithm::EdDSA, &ed.id);
    forger.with_header(match place {
        "jwk" => json!({ "jwk": forger.jwk() }),
        "jku" => json!({ "jku": "http://127.0.0.1:9/jwks" }),
        _ => json!({ "x5c": ["MIIB"], "x5u": "http://127.0.0.1:9/c", "x5t": "AA" }),
    })
}

/// When a token is in force is said in whole seconds or not at all.
fn times(ed: &Signer) -> Vec<Case> {
    let raw = |exp: &str| ed.sign(&ed.header().to_string(), &format!(r#"{{"exp":{exp}}}"#));
    let with = |more: Value| ed.with_claims(more);
    vec![
        ("no expiry", with(json!({ "exp": null })), "the token has no expiry"),
        ("long expired", with(json!({ "exp": NOW - 3600 })), "the token has expired"),
        ("expired to the second", with(json!({ "exp": NOW - 30 })), "the token has expired"),
        ("expiry zero", with(json!({ "exp": 0 })), "the token has expired"),
        ("expiry below zero", with(json!({ "exp": -1 })), TIME),
        ("expiry as text", with(json!({ "exp": "1900000000" })), TIME),
        ("expiry with a fraction", raw("1900000000.5"), TIME),
        ("expiry as a float", raw("1900000000.0"), TIME),
        ("expiry with an exponent", raw("19e8"), TIME),
        ("expiry null", raw("null"), TIME),
        ("expiry of 2^63", raw("9223372036854775808"), TIME),
        ("expiry of 2^63 - 1", raw("9223372036854775807"), TIME),
        ("expiry past all numbers", raw("1e999"), CLAIMS),
        ("expiry in milliseconds", raw("1900000000000"), TIME),
        ("expiry as a list", raw("[1900000000]"), TIME),
        ("expiry true", raw("true"), TIME),
        ("not yet valid", with(json!({ "nbf": NOW + 60 })), "the token is not valid yet"),
        ("validity as text", with(json!({ "nbf": "0" })), TIME),
        ("validity of 2^63", with(json!({ "nbf": u64::MAX })), TIME),
        ("issued as text", with(json!({ "iat": "now" })), TIME),
    ]
}

/// Claims of the wrong type, or for somebody else.
fn contents(ed: &Signer) -> Vec<Case> {
    let raw = |claims: &str| ed.sign(&ed.header().to_string(), claims);
    let with = |more: Value| ed.with_claims(more);
    let double = format!(r#"{{"exp":{},"exp":1}}"#, NOW + 60);
    let double_deep = format!(r#"{{"exp":{},"o":{{"id":"a","id":"b"}}}}"#, NOW + 60);
    let another_issuer = "the token is of another issuer";
    let another_audience = "the token is for another audience";
    vec![
        ("claims that are a list", raw("[]"), CLAIMS),
        ("claims that are text", raw("\"x\""), CLAIMS),
        ("no claims", raw(""), CLAIMS),
        ("claims with a tail", raw(&format!("{}{{}}", claims())), CLAIMS),
        ("claims that are a token", raw(&ed.token(&claims())), CLAIMS),
        ("an expiry twice", raw(&double), CLAIMS),
        ("an organization twice", raw(&double_deep), CLAIMS),
        ("claims a thousand deep", raw(&"[".repeat(1000)), CLAIMS),
        ("no issuer", with(json!({ "iss": null })), another_issuer),
        ("another issuer", with(json!({ "iss": "https://evil.example" })), another_issuer),
        ("the issuer in a list", with(json!({ "iss": ["https://id.example"] })), ISSUER),
        ("the issuer in an object", with(json!({ "iss": { "a": 1 } })), ISSUER),
        ("no audience", with(json!({ "aud": null })), another_audience),
        ("another audience", with(json!({ "aud": "berth2" })), another_audience),
        ("our audience as a part", with(json!({ "aud": "berth other" })), another_audience),
        ("an audience that is a number", with(json!({ "aud": 1 })), AUDIENCE),
        ("an audience that is an object", with(json!({ "aud": { "berth": 1 } })), AUDIENCE),
        ("our audience among numbers", with(json!({ "aud": ["berth", 1] })), AUDIENCE),
        ("our audience in a list in a list", with(json!({ "aud": [["berth"]] })), AUDIENCE),
        ("a subject that is a number", with(json!({ "sub": 1 })), "the subject is not text"),
    ]
}

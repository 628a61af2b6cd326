//! Cases with unsupported algorithms, and with supported algorithms and keys of another type.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::json;

use crate::{
    hostile::{ALGORITHM, Case, Keys, MISFIT, SIGNATURE, UNSIGNED},
    signer::{claims, encode},
};

/// The ASN.1 prefix of an Ed25519 public key (`SubjectPublicKeyInfo`).
const ED25519_SPKI: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];

/// Returns cases with `none`, unsupported algorithms, and keys of another type.
pub(crate) fn algorithms(keys: &Keys) -> Vec<Case> {
    let body = encode(claims().to_string());
    let mut cases = shared_secrets(keys, &body);
    for spelling in
        ["none", "None", "NONE", "nOnE", "none ", "", "HS256 ", "es256", "eddsa", "rs256"]
    {
        let header = encode(json!({ "alg": spelling, "typ": "JWT" }).to_string());
        cases.push(("a spelling of none", format!("{header}.{body}.AA"), ALGORITHM));
        cases.push(("the same, unsigned", format!("{header}.{body}."), UNSIGNED));
    }
    for unaccepted in [
        "HS384",
        "HS512",
        "RS384",
        "RS512",
        "PS384",
        "PS512",
        "ES512",
        "ES256K",
        "Ed448",
        "Ed25519",
        "ML-DSA-44",
        "dir",
        "RSA-OAEP-256",
        "RS256\0",
        " RS256",
        "R\u{405}256",
    ] {
        let token = keys.rsa.with_header(json!({ "alg": unaccepted }));
        cases.push(("an unsupported algorithm", token, ALGORITHM));
    }
    for (name, alg) in [("a number", json!(1)), ("null", json!(null)), ("a list", json!(["EdDSA"]))]
    {
        cases.push((name, keys.ed.with_header(json!({ "alg": alg })), ALGORITHM));
    }
    cases.extend(crossed(keys));
    cases
}

/// Returns cases with supported algorithms and keys of another type.
fn crossed(keys: &Keys) -> Vec<Case> {
    let typ_only = keys.ed.sign(r#"{"typ":"JWT","kid":"ed"}"#, &claims().to_string());
    vec![
        ("no algorithm at all", typ_only, ALGORITHM),
        ("an RSA algorithm for an EC key", keys.ec.with_header(json!({ "alg": "RS256" })), MISFIT),
        ("an EC algorithm for an RSA key", keys.rsa.with_header(json!({ "alg": "ES256" })), MISFIT),
        ("EdDSA for an EC key", keys.ec.with_header(json!({ "alg": "EdDSA" })), MISFIT),
        ("ES384 for a P-256 key", keys.ec.with_header(json!({ "alg": "ES384" })), MISFIT),
        ("PSS promised, PKCS#1 signed", keys.rsa.with_header(json!({ "alg": "PS256" })), SIGNATURE),
        ("ES256 for a P-384 key", keys.ec384.with_header(json!({ "alg": "ES256" })), MISFIT),
        ("ES256 for an Ed25519 key", keys.ed.with_header(json!({ "alg": "ES256" })), MISFIT),
        ("EdDSA for an RSA key", keys.rsa.with_header(json!({ "alg": "EdDSA" })), MISFIT),
        ("RS256 for an Ed25519 key", keys.ed.with_header(json!({ "alg": "RS256" })), MISFIT),
        ("another key's name", keys.ed.with_header(json!({ "kid": "ec" })), MISFIT),
    ]
}

/// Returns cases signed with HMAC, where the secret is public text.
fn shared_secrets(keys: &Keys, body: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let public_key = keys.rsa.bare_jwk().to_string();
    let modulus = keys.rsa.bare_jwk()["n"].as_str().unwrap().to_owned();
    // The forms in which programs read a key from a file: ASN.1, and ASN.1 in PEM.
    let point = URL_SAFE_NO_PAD.decode(keys.ed.bare_jwk()["x"].as_str().unwrap()).unwrap();
    let der = [ED25519_SPKI.as_slice(), &point].concat();
    let pem = STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n");
    for secret in
        [public_key.as_bytes(), modulus.as_bytes(), b"", &point, &der, pem.as_bytes(), b"null"]
    {
        let header = encode(json!({ "alg": "HS256", "kid": "rsa" }).to_string());
        let message = format!("{header}.{body}");
        let key = EncodingKey::from_secret(secret);
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        cases.push(("HMAC keyed with public text", format!("{message}.{signature}"), ALGORITHM));
    }
    cases
}

//! Who gets in by a login token: whoever holds what an issuer signed, and is who the claims say.

use std::sync::LazyLock;

use auth::{Chain, Config, JwtVerifier, Source};
use domain::{
    Caller, Capability, OrganizationId,
    ports::{Authenticator, Credential},
    testing::{Memory, TestEnvironment},
};
use futures_util::FutureExt as _;
use jsonwebtoken::{Algorithm, crypto};
use serde_json::{Value, json};

use crate::{
    signer::{Signer, claims as good_claims, encode},
    world::NOW,
};

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "berth";
const LEEWAY: f64 = 30.0;

/// The door, and the issuer's own keys, made anew for every run.
struct Door {
    chain: Chain,
    signers: Vec<Signer>,
    tokens: Vec<String>,
}

static DOOR: LazyLock<Door> = LazyLock::new(Door::new);

impl Door {
    fn new() -> Self {
        let signers: Vec<_> = [
            (Algorithm::EdDSA, "ed"),
            (Algorithm::ES256, "ec"),
            (Algorithm::ES384, "ec384"),
            (Algorithm::RS256, "rsa"),
            (Algorithm::PS256, "pss"),
        ]
        .into_iter()
        .map(|(algorithm, id)| Signer::new(algorithm, id))
        .collect();
        let keys: Vec<_> = signers.iter().map(Signer::jwk).collect();
        let source = Source::parse(&json!({ "keys": keys }).to_string(), false);
        let config = Config {
            jwks: Some(source.expect("our own keys")),
            issuer: Some(ISSUER.to_owned()),
            audience: Some(AUDIENCE.to_owned()),
            ..Config::default()
        };
        let environment = TestEnvironment::new();
        let jwt = JwtVerifier::start(config, environment.clone()).now_or_never();
        let jwt = jwt.expect("keys given inline are there at once").expect("our own keys");
        let chain = Chain::new(jwt, std::sync::Arc::new(Memory::new()), environment);
        let tokens: Vec<_> = signers.iter().map(|signer| signer.token(&good_claims())).collect();
        let door = Self { chain, signers, tokens };
        for token in &door.tokens {
            assert!(door.admit(token).is_some(), "or a refusal would prove nothing");
        }
        door
    }

    /// The caller, if it is let in.
    fn admit(&self, token: &str) -> Option<Caller> {
        let credential = Credential::Bearer(token.to_owned());
        let answer = self.chain.authenticate(&credential).now_or_never();
        answer.expect("keys given inline are never waited for").ok()
    }
}

/// A token that is let in is one that was signed, word for word.
///
/// The first byte says which signed token to begin with, or that the rest is the token; the rest are
/// changes of three bytes: where (two), and what to.
pub fn token(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let door = &*DOOR;
    let good = door.tokens.get(usize::from(*first));
    let text = match good {
        Some(good) => changed(good, rest),
        None => String::from_utf8_lossy(rest).into_owned(),
    };
    if let Some(caller) = door.admit(&text) {
        let words = |token: &str| token.rsplit_once('.').map(|(words, _)| words.to_owned());
        let signed = door.tokens.iter().any(|token| words(token) == words(&text));
        assert!(signed, "nobody signed {text}");
        assert_eq!(caller.organization, OrganizationId::parse("acme"));
        assert!(!caller.platform_admin);
    } else {
        assert!(good.is_none_or(|good| *good != text), "signed, and refused: {text}");
    }
}

fn changed(token: &str, changes: &[u8]) -> String {
    let mut text = token.as_bytes().to_vec();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % text.len().max(1);
        match change[2] {
            _ if text.is_empty() => break,
            0 => drop(text.remove(at)),
            letter => text[at] = letter,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Whoever is let in is who the claims say, in force and meant for us; nothing else of a header or of
/// claims lets anybody in.
///
/// The first byte says whether the header is given too, before a line break, or a good one is taken.
pub fn claims(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let (door, ed) = (&*DOOR, &DOOR.signers[0]);
    let good = ed.header().to_string();
    let (header, claims) = if first % 2 == 0 {
        (good.as_bytes(), rest)
    } else {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        (&rest[..end], rest.get(end + 1..).unwrap_or_default())
    };
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = crypto::sign(message.as_bytes(), &ed.key, ed.algorithm).expect("our own key");
    if let Some(caller) = door.admit(&format!("{message}.{signature}")) {
        check_header(&read(header));
        check_claims(&caller, &read(claims));
    }
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("whoever is let in sent JSON")
}

fn check_header(header: &Value) {
    assert_eq!(header["alg"], "EdDSA", "{header}");
    assert!(header.get("kid").is_none_or(|kid| kid == "ed"), "{header}");
    for meaning in ["crit", "cty", "enc", "zip", "b64"] {
        assert!(header.get(meaning).is_none(), "{header}");
    }
}

fn check_claims(caller: &Caller, claims: &Value) {
    let expires = claims["exp"].as_f64().expect("an expiry in seconds");
    assert!(expires + LEEWAY > NOW as f64, "{claims}");
    let begins = claims.get("nbf").filter(|nbf| !nbf.is_null());
    let latest = NOW as f64 + LEEWAY;
    assert!(begins.is_none_or(|nbf| nbf.as_f64().is_some_and(|n| n <= latest)), "{claims}");
    assert_eq!(claims["iss"], ISSUER);
    let audiences =
        claims["aud"].as_array().cloned().unwrap_or_else(|| vec![claims["aud"].clone()]);
    assert!(audiences.contains(&Value::from(AUDIENCE)), "{claims}");
    if let Some(organization) = &caller.organization {
        let (claim, name) = (&claims["org_id"], organization.as_str());
        let entries = claim.as_object().map(|entries| entries.iter().collect::<Vec<_>>());
        let named = match (claim, entries.as_deref()) {
            (Value::String(text), _) => text == name,
            (Value::Array(one), _) => one.len() == 1 && one[0] == name,
            (_, Some([(alias, about)])) => {
                about.get("id").map_or(alias.as_str() == name, |id| id == name)
            }
            _ => false,
        };
        assert!(named, "{claims} names no {name}");
    }
    let said = |claim: &Value, role: &str| claim.to_string().contains(role);
    let manages = caller.capabilities.contains(Capability::Manage);
    let role = &claims["role"];
    assert!(!manages || said(role, "admin") || said(role, "owner"), "{claims}");
    assert!(caller.capabilities.is_empty() || caller.organization.is_some());
    assert!(!caller.platform_admin || said(&claims["platform_role"], "super_admin"), "{claims}");
}

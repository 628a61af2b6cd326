//! Private keys of a test issuer, generated at run time, and tokens signed with them.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Map, Value, json};

use crate::world::NOW;

/// A private key with its key id.
pub(crate) struct Signer {
    pub(crate) key: EncodingKey,
    pub(crate) algorithm: Algorithm,
    pub(crate) id: String,
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm, id: &str) -> Self {
        let random = SystemRandom::new();
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let curve = match algorithm {
                    Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
                    _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
                };
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
                EncodingKey::from_ec_der(pkcs8.as_ref())
            }
            Algorithm::EdDSA => {
                // PKCS#8 version 1, the only form that a JWK can be made from.
                let pair = Ed25519KeyPair::generate().unwrap();
                EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref())
            }
            _ => {
                let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
                let pkcs8 = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der>::as_der(&pair).unwrap();
                // The RSA private key follows a PKCS#8 header of 26 bytes.
                EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
            }
        };
        Self { key, algorithm, id: id.to_owned() }
    }

    /// Returns the public key as an issuer publishes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = self.bare_jwk();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(format!("{:?}", self.algorithm));
        jwk
    }

    /// Returns the public key without key id, use and algorithm.
    pub(crate) fn bare_jwk(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap())
                .unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.id })
    }

    /// Signs the claims with a valid header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// Signs valid claims with members added to the header or replaced in it.
    pub(crate) fn with_header(&self, more: Value) -> String {
        let mut header = self.header();
        for (name, value) in members(more) {
            header[name] = value;
        }
        self.sign(&header.to_string(), &claims().to_string())
    }

    /// Signs a valid token with claims added or replaced; `null` removes a claim.
    pub(crate) fn with_claims(&self, more: Value) -> String {
        let mut claims = claims();
        for (name, value) in members(more) {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(&name);
            } else {
                claims[name] = value;
            }
        }
        self.token(&claims)
    }

    /// Encodes and signs arbitrary texts.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the claims of an admin of `acme`, valid for five minutes.
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": "berth", "sub": "user-1",
        "iat": NOW, "exp": NOW + 300, "org_id": "acme", "role": "admin",
    })
}

//! A set of public keys (RFC 7517). Unsupported, weak and malformed keys are ignored, because
//! issuers publish keys for other purposes in the same set.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::token::{Cause, Token};

/// Keys read from one set; more than any issuer publishes. Further keys are ignored.
const MAX_KEYS: usize = 100;
/// Keys tried for one token. Bounds the cost of a forged token.
const MAX_CANDIDATES: usize = 16;

/// The usable keys of a set.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<PublicKey>,
    /// Why the other keys are ignored, one text for each.
    ignored: Vec<String>,
}

/// Why a text is not a usable key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The text is not of the form `{"keys": [...]}`.
    #[error("the text is not a JSON Web Key Set ({0})")]
    Malformed(#[source] serde_json::Error),
    /// No key of the set can verify a login token.
    #[error("the set has no usable key{0}")]
    NoUsableKey(String),
}

impl KeySet {
    /// Parses a set. The set may have no usable key.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json).map_err(KeySetError::Malformed)?;
        let mut set = Self::default();
        for (index, key) in document.keys.into_iter().take(MAX_KEYS).enumerate() {
            match PublicKey::read(key) {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.ignored.push(format!("key {index} {reason}")),
            }
        }
        Ok(set)
    }

    /// Returns the set if it has a usable key.
    pub(crate) fn require_usable(self) -> Result<Self, KeySetError> {
        if self.keys.is_empty() {
            let reasons = self.ignored.iter().fold(String::new(), |all, one| all + "; " + one);
            return Err(KeySetError::NoUsableKey(reasons));
        }
        Ok(self)
    }

    /// Returns the number of usable keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the reasons for which keys are ignored, one for each key.
    pub(crate) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Verifies the signature of a token with every candidate key.
    ///
    /// # Errors
    /// If no key of this set signed the token. A newer set may have the key.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), Cause> {
        let mut cause = "the token's key is unknown";
        if self.keys.iter().any(|key| token.key_id.is_some() && key.id == token.key_id) {
            cause = "the token's algorithm does not fit the key";
        }
        for key in self.candidates(token.key_id.as_deref(), token.algorithm) {
            if key.verifies(token.message, token.signature, token.algorithm) {
                return Ok(());
            }
            cause = "the token's signature is wrong";
        }
        Err(cause)
    }

    /// Returns the keys that may have signed a token with this key id and algorithm: first the keys
    /// with the id, then the keys without an id. A token without an id may be signed by any key.
    /// During a rotation issuers publish two keys with one id, and some publish keys without an id.
    pub(crate) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &PublicKey> {
        let supported = move || self.keys.iter().filter(move |key| key.supports(algorithm));
        let with_id = supported()
            .filter(move |key| key.id.is_some() && (id.is_none() || key.id.as_deref() == id));
        with_id.chain(supported().filter(|key| key.id.is_none())).take(MAX_CANDIDATES)
    }
}

/// A public key that verifies signatures.
#[derive(Debug)]
pub(crate) struct PublicKey {
    id: Option<String>,
    key_type: KeyType,
    /// From `alg`; `None` permits all algorithms of the key type.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyType {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl PublicKey {
    /// Returns true if the signature of the message is valid.
    pub(crate) fn verifies(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        let verify = jsonwebtoken::crypto::verify;
        self.supports(algorithm)
            && verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }

    fn supports(&self, algorithm: Algorithm) -> bool {
        self.key_type.supports(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    fn read(json: Value) -> Result<Self, &'static str> {
        let jwk: Jwk = serde_json::from_value(json).map_err(|_| "is malformed")?;
        let common = jwk.common;
        if common.public_key_use.is_some_and(|usage| usage != PublicKeyUse::Signature) {
            return Err("is not for signatures");
        }
        if common.key_operations.is_some_and(|ops| !ops.contains(&KeyOperations::Verify)) {
            return Err("is not for verification");
        }
        let (key_type, key) = match jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => (KeyType::Rsa, rsa_key(&rsa.n, &rsa.e)?),
            AlgorithmParameters::EllipticCurve(ec) => ec_key(&ec.curve, &ec.x, &ec.y)?,
            AlgorithmParameters::OctetKeyPair(pair) => {
                (KeyType::Ed25519, ed_key(&pair.curve, &pair.x)?)
            }
            AlgorithmParameters::OctetKey(_) => return Err("is a shared secret"),
            _ => return Err("is of an unknown type, or lacks a part"),
        };
        let algorithm = match common.key_algorithm.map(|name| Algorithm::try_from(name).ok()) {
            None => None,
            Some(Some(algorithm)) if key_type.supports(algorithm) => Some(algorithm),
            Some(_) => return Err("is for an algorithm that berth does not accept"),
        };
        Ok(Self { id: common.key_id, key_type, algorithm, key })
    }
}

impl KeyType {
    /// The complete list of accepted algorithms: no other algorithm verifies a signature.
    fn supports(self, algorithm: Algorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::Rsa, Algorithm::RS256 | Algorithm::PS256)
                | (Self::P256, Algorithm::ES256)
                | (Self::P384, Algorithm::ES384)
                | (Self::Ed25519, Algorithm::EdDSA)
        )
    }
}

fn bytes(part: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "is not in base64url")
}

fn rsa_key(n: &str, e: &str) -> Result<DecodingKey, &'static str> {
    let (n, e) = (bytes(n)?, bytes(e)?);
    // Some issuers write a leading sign byte, which the verifier would reject.
    let n = n.get(n.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
    let e = e.get(e.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
    let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err("is an RSA key of fewer than 2048 or more than 8192 bits");
    }
    // An even exponent or 1 is no signature scheme, and the verifier supports at most 33 bits.
    if e == [1] || e.len() > 4 || e.last().is_none_or(|low| low % 2 == 0) {
        return Err("is an RSA key with an invalid exponent");
    }
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

fn ec_key(curve: &EllipticCurve, x: &str, y: &str) -> Result<(KeyType, DecodingKey), &'static str> {
    let (key_type, width) = match curve {
        EllipticCurve::P256 => (KeyType::P256, 32),
        EllipticCurve::P384 => (KeyType::P384, 48),
        _ => return Err("is on a curve that berth does not accept"),
    };
    if bytes(x)?.len() != width || bytes(y)?.len() != width {
        return Err("has coordinates of the wrong length");
    }
    Ok((key_type, DecodingKey::from_ec_components(x, y).map_err(|_| "is malformed")?))
}

fn ed_key(curve: &EllipticCurve, x: &str) -> Result<DecodingKey, &'static str> {
    if *curve != EllipticCurve::Ed25519 || bytes(x)?.len() != 32 {
        return Err("is not an Ed25519 key");
    }
    DecodingKey::from_ed_components(x).map_err(|_| "is malformed")
}

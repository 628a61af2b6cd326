//! A set of public keys, as far as we can use it: a key that is foreign, weak or malformed is left
//! out and spoils nothing, for issuers publish keys for others beside ours.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    token::{Cause, Token},
    token_cache::Logins,
};

/// More than any issuer publishes; the rest is ignored.
const MOST_KEYS: usize = 100;
/// Keys tried for one token: what a forged token costs at most.
const MOST_TRIED: usize = 16;

/// The usable keys of a set.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<PublicKey>,
    /// Why the others are not among them.
    ignored: Vec<String>,
    /// What tokens say that the keys were found to have signed.
    pub(crate) logins: Logins,
}

/// Why a text is not a key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// Not of the form `{"keys": [...]}`.
    #[error("it is not a JSON Web Key Set ({0})")]
    Malformed(#[source] serde_json::Error),
    /// None of its keys serves to verify a login token.
    #[error("it has no usable key{0}")]
    NoUsableKey(String),
}

impl KeySet {
    /// Reads a set; usable keys or not.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let document: Document = serde_json::from_slice(json).map_err(KeySetError::Malformed)?;
        let mut set = Self::default();
        for (place, key) in document.keys.into_iter().take(MOST_KEYS).enumerate() {
            match PublicKey::read(key) {
                Ok(key) => set.keys.push(key),
                Err(reason) => set.ignored.push(format!("key {place} {reason}")),
            }
        }
        Ok(set)
    }

    /// The set, if it has a usable key.
    pub(crate) fn if_usable(self) -> Result<Self, KeySetError> {
        if self.keys.is_empty() {
            let reasons = self.ignored.iter().fold(String::new(), |all, why| all + "; " + why);
            return Err(KeySetError::NoUsableKey(reasons));
        }
        Ok(self)
    }

    /// How many keys are usable.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Why the others are not.
    pub(crate) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Verifies the signature of a token with every key that may have made it.
    ///
    /// # Errors
    /// Says why no key of this set did. Another set may have a key that did.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<(), Cause> {
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

    /// Returns the keys that may have signed a token of this key id and algorithm: those of the id, then
    /// those that have none. Of a token without one, any key may be it. Issuers publish two keys under
    /// one id while they rotate them, and keys without an id.
    pub(crate) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &PublicKey> {
        let fitting = move || self.keys.iter().filter(move |key| key.fits(algorithm));
        let named = fitting()
            .filter(move |key| key.id.is_some() && (id.is_none() || key.id.as_deref() == id));
        named.chain(fitting().filter(|key| key.id.is_none())).take(MOST_TRIED)
    }
}

/// A key that verifies signatures.
#[derive(Debug)]
pub(crate) struct PublicKey {
    id: Option<String>,
    kind: Kind,
    /// The only algorithm it is for, when it says so.
    only: Option<Algorithm>,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl PublicKey {
    /// Whether this key's owner made the signature.
    pub(crate) fn verifies(&self, message: &str, signature: &str, algorithm: Algorithm) -> bool {
        let verify = jsonwebtoken::crypto::verify;
        self.fits(algorithm)
            && verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind.verifies(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }

    fn read(json: Value) -> Result<Self, &'static str> {
        let jwk: Jwk = serde_json::from_value(json).map_err(|_| "is malformed")?;
        let common = jwk.common;
        if common.public_key_use.is_some_and(|usage| usage != PublicKeyUse::Signature) {
            return Err("is not for signatures");
        }
        if common.key_operations.is_some_and(|ops| !ops.contains(&KeyOperations::Verify)) {
            return Err("is not for verifying");
        }
        let (kind, key) = match jwk.algorithm {
            AlgorithmParameters::RSA(rsa) => (Kind::Rsa, rsa_key(&rsa.n, &rsa.e)?),
            AlgorithmParameters::EllipticCurve(ec) => ec_key(&ec.curve, &ec.x, &ec.y)?,
            AlgorithmParameters::OctetKeyPair(pair) => {
                (Kind::Ed25519, ed_key(&pair.curve, &pair.x)?)
            }
            AlgorithmParameters::OctetKey(_) => return Err("is a shared secret"),
            _ => return Err("is of an unknown type, or lacks a part"),
        };
        let only = common.key_algorithm.map(|name| Algorithm::try_from(name).ok());
        let only = match only {
            None => None,
            Some(Some(algorithm)) if kind.verifies(algorithm) => Some(algorithm),
            Some(_) => return Err("is for an algorithm we do not accept"),
        };
        Ok(Self { id: common.key_id, kind, only, key })
    }
}

impl Kind {
    /// Everything we accept, in one place: no algorithm but these five ever verifies anything.
    fn verifies(self, algorithm: Algorithm) -> bool {
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
    // Some issuers keep a sign byte in front, which the verifier would refuse.
    let n = n.get(n.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
    let e = e.get(e.iter().take_while(|byte| **byte == 0).count()..).unwrap_or_default();
    let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
    if !(2048..=8192).contains(&bits) {
        return Err("is an RSA key of fewer than 2048 or more than 8192 bits");
    }
    // Even ones and 1 make no signature scheme, and the verifier takes 33 bits at most.
    if e == [1] || e.len() > 4 || e.last().is_none_or(|low| low % 2 == 0) {
        return Err("is an RSA key with an unsound exponent");
    }
    Ok(DecodingKey::from_rsa_raw_components(n, e))
}

fn ec_key(curve: &EllipticCurve, x: &str, y: &str) -> Result<(Kind, DecodingKey), &'static str> {
    let (kind, width) = match curve {
        EllipticCurve::P256 => (Kind::P256, 32),
        EllipticCurve::P384 => (Kind::P384, 48),
        _ => return Err("is on a curve we do not accept"),
    };
    if bytes(x)?.len() != width || bytes(y)?.len() != width {
        return Err("has coordinates of the wrong length");
    }
    Ok((kind, DecodingKey::from_ec_components(x, y).map_err(|_| "is malformed")?))
}

fn ed_key(curve: &EllipticCurve, x: &str) -> Result<DecodingKey, &'static str> {
    if *curve != EllipticCurve::Ed25519 || bytes(x)?.len() != 32 {
        return Err("is not an Ed25519 key");
    }
    DecodingKey::from_ed_components(x).map_err(|_| "is malformed")
}

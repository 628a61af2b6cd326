//! Properties of the parsers of this crate, for arbitrary bytes. The fuzz targets in `fuzz/` call
//! them with millions of inputs, the tests of this crate with a few. A violated property panics.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::KeyId;
use jsonwebtoken::Algorithm;
use serde_json::Value;

use crate::{
    api_key::text as key_text,
    jwt::{json, key_set::KeySet, token::Token},
};

const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

/// A text that parses as an API key is formatted to the same text, and a formatted key parses to
/// the same id.
pub fn api_key(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let parses = key_text::parse(text).is_some();
        assert_eq!(
            key_text::reformat(text).as_deref(),
            parses.then_some(text),
            "a key has exactly one text"
        );
        assert!(!parses || key_text::has_prefix(text));
    }
    let mut bytes = [0; 48];
    bytes.iter_mut().zip(data).for_each(|(byte, given)| *byte = *given);
    let (id, secret) = bytes.split_at(16);
    let id = KeyId::from_bits(id.try_into().map_or(0, u128::from_be_bytes));
    let secret: [u8; 32] = secret.try_into().unwrap_or_default();
    let text = key_text::format_key(&id, &secret);
    assert!(key_text::parse(&text).is_some_and(|parsed| parsed.id == id), "{text}");
}

/// A parsed token can be put together again from its parts, and `serde_json` reads the same values
/// from it.
pub fn token(data: &[u8]) {
    if let Some(strict) = json::object(data) {
        assert_eq!(serde_json::from_slice::<Value>(data).ok(), Some(strict));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(token) = Token::parse(text) else { return };
    assert_eq!(format!("{}.{}", token.message, token.signature), text);
    let parts: Vec<_> = text.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(URL_SAFE_NO_PAD.encode(&token.payload), parts[1], "a token has exactly one text");
    let header = URL_SAFE_NO_PAD.decode(parts[0]).ok();
    let header = header.and_then(|header| serde_json::from_slice::<Value>(&header).ok());
    let header = header.unwrap_or_default();
    assert_eq!(header["alg"].as_str(), Some(format!("{:?}", token.algorithm).as_str()));
    assert_eq!(header["kid"].as_str(), token.key_id.as_deref());
    for member in ["crit", "cty", "enc", "zip", "b64"] {
        assert!(header.get(member).is_none(), "{header}");
    }
}

/// A key set is parsed or rejected. Verification with any parsed key does not panic, and no key is
/// a candidate for an algorithm that it does not support.
pub fn key_set(data: &[u8]) {
    let Ok(set) = KeySet::parse(data) else { return };
    assert!(set.len() + set.ignored().len() <= 100);
    let document = serde_json::from_slice::<Value>(data).unwrap_or_default();
    let names = document["keys"].as_array().into_iter().flatten();
    let names = names.filter_map(|key| key["kid"].as_str()).map(Some);
    for name in names.chain([None]).take(8) {
        for algorithm in ALGORITHMS {
            let signature = URL_SAFE_NO_PAD.encode([7; 64]);
            let mut tried = 0;
            for key in set.candidates(name, algorithm) {
                let _ = key.verifies("a message without signature", &signature, algorithm);
                tried += 1;
            }
            assert!(tried <= 16, "the cost of a token is bounded");
        }
        for other in [Algorithm::HS256, Algorithm::RS512, Algorithm::PS384] {
            assert_eq!(set.candidates(name, other).count(), 0, "{other:?} verifies nothing");
        }
    }
    assert_eq!(set.len() > 0, set.require_usable().is_ok());
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Inputs in forms that the parsers partly accept, so that random bytes reach deep code.
    fn inputs() -> impl Strategy<Value = Vec<u8>> {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA","kid":"k"}"#);
        prop_oneof![
            vec(any::<u8>(), 0..200),
            "wa_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}".prop_map(String::into_bytes),
            "[A-Za-z0-9_-]{0,20}".prop_map(move |rest| format!("{header}.{rest}.AA").into_bytes()),
            r#"\{"keys":\[\{"kty":"(OKP|EC|RSA)","crv":"(Ed25519|P-256)","x":"[A-Za-z0-9_-]{43}","y":"[A-Za-z0-9_-]{43}"\}\]\}"#
                .prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn properties_hold_for_nearly_valid_inputs(data in inputs()) {
            for property in [api_key, token, key_set] {
                property(&data);
            }
        }
    }
}

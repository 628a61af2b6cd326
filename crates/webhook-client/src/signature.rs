//! Signatures of webhook requests: HMAC-SHA512 of the body, and the signatures of Standard
//! Webhooks.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

/// The minimum and maximum length of a secret, in characters.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 24..=256;
/// The prefix of a secret of Standard Webhooks, whose rest is base64.
const PREFIX: &str = "whsec_";
/// The lengths of a decoded key of Standard Webhooks, in bytes (specification 1.0.0, "Signature
/// scheme").
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that a webhook's owner shares with the receiver. `Debug` hides the text.
#[derive(Clone, Debug)]
pub struct SigningSecret(SecretString);

/// The error for a text that is no secret. The error does not contain the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must have 24 to 256 visible ASCII characters without spaces; after `whsec_`, base64 of 24 to 64 \
     bytes"
)]
pub struct InvalidSecret;

impl SigningSecret {
    /// Accepts 24 to 256 visible ASCII characters. The libraries of Standard Webhooks decode what
    /// follows `whsec_`, so this must be base64 of a key.
    ///
    /// # Errors
    /// [`InvalidSecret`] for any other text.
    pub fn new(text: String) -> Result<Self, InvalidSecret> {
        let is_text =
            SECRET_LENGTH.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_key = text.strip_prefix(PREFIX).is_none_or(|rest| decode_key(rest).is_some());
        if is_text && is_key { Ok(Self(text.into())) } else { Err(InvalidSecret) }
    }

    /// Returns the HMAC-SHA512 of `body` in lower-case hexadecimal; the key is the text itself.
    pub(crate) fn body_hmac(&self, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA512, self.0.expose_secret().as_bytes());
        let mut text = String::with_capacity(128);
        for byte in hmac::sign(&key, body).as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Returns `v1,` and the base64 of the HMAC-SHA256 of `signed`.
    fn standard_signature(&self, signed: &[u8]) -> String {
        let text = self.0.expose_secret();
        let decoded = text.strip_prefix(PREFIX).and_then(decode_key);
        let bytes = decoded.as_deref().unwrap_or(text.as_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed)))
    }
}

/// Decodes the part of a secret after [`PREFIX`].
fn decode_key(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok().filter(|key| KEY_LENGTH.contains(&key.len()))
}

/// The secrets of a webhook. During a rotation both sign.
#[derive(Clone, Debug)]
pub struct SigningSecrets {
    /// The newest secret.
    pub current: SigningSecret,
    /// The secret before the rotation, while receivers may still use it.
    pub previous: Option<SigningSecret>,
}

impl SigningSecrets {
    /// Returns the value of `webhook-signature`: one signature for each secret, the newest first,
    /// separated by a space. `timestamp` is in seconds since 1970.
    ///
    /// The key of a secret `whsec_` + base64 is those bytes; the key of any other secret is its text.
    pub(crate) fn standard_signatures(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signed = [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body].concat();
        let current = self.current.standard_signature(&signed);
        match &self.previous {
            Some(previous) => format!("{current} {}", previous.standard_signature(&signed)),
            None => current,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SigningSecret {
        SigningSecret::new(text.to_owned()).unwrap()
    }

    /// Computed with Python: `hmac.new(key, body, "sha512").hexdigest()`.
    #[test]
    fn body_hmac_equals_an_independent_computation() {
        let hmac = secret("0123456789abcdef01234567").body_hmac(br#"{"event":"session.status"}"#);
        let expected = "47947069a69f8866044534535363c4a2e03ef5e5b1f265fcc09f6f3d746e1b4b\
                        7b01e675fea04a73e850b9bd741f897883e264e5feda2503f7ab98bd8c271d10";
        assert_eq!(hmac, expected);
    }

    /// The second key is the text of a secret without the prefix.
    #[test]
    fn standard_signature_equals_an_independent_computation() {
        let body = br#"{"test": 2432232314}"#;
        let sign = |current, previous: Option<&str>| {
            let secrets =
                SigningSecrets { current: secret(current), previous: previous.map(secret) };
            secrets.standard_signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
        };
        // The example of the specification's libraries.
        let first = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let second = "v1,d5PJaLhU6hQf9TLleqdn97PBQffdITHtAOuMMHkRQ4U=";
        let (whsec, text) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "0123456789abcdef01234567");
        assert_eq!(sign(whsec, None), first);
        assert_eq!(sign(text, None), second);
        assert_eq!(sign(text, Some(whsec)), format!("{second} {first}"));
    }

    #[test]
    fn invalid_secret_is_rejected_and_valid_secret_is_not_shown() {
        for text in ["", &"x".repeat(23), &"x".repeat(257), "0123456789abcdef0123456 8", "ä"] {
            assert!(SigningSecret::new(text.into()).is_err(), "{text}");
        }
        assert!(SigningSecret::new("é".repeat(24)).is_err());
        let whsec = |bytes| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for invalid in [whsec(23), whsec(65), format!("{}x", whsec(24)), "whsec_".repeat(5)] {
            assert!(SigningSecret::new(invalid.clone()).is_err(), "{invalid}");
        }
        for valid in [whsec(24), whsec(25), whsec(64)] {
            assert!(SigningSecret::new(valid.clone()).is_ok(), "{valid}");
        }
        for length in [24, 256] {
            assert!(!format!("{:?}", secret(&"x".repeat(length))).contains("xx"));
        }
    }
}

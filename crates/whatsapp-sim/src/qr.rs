//! The text of a linking QR code, in both forms that clients show: bare, or in a link that opens
//! the phone's app.

use crate::error::PhoneError;
use crate::keys::Key;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

const LINK: &str = "https://wa.me/settings/linked_devices#";

/// The content of a QR code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Qr {
    pub(crate) reference: String,
    pub(crate) noise: Key,
    pub(crate) identity: Key,
    pub(crate) secret: Key,
}

impl Qr {
    /// Parses `reference,noise key,identity key,secret,kind of client`. Older clients omit the
    /// kind, and some append a help link.
    pub(crate) fn read(text: &str) -> Result<Self, PhoneError> {
        let text = text.trim();
        let fields: Vec<&str> = text.strip_prefix(LINK).unwrap_or(text).split(',').collect();
        let ([reference, noise, identity, secret]
        | [reference, noise, identity, secret, _]
        | [reference, noise, identity, secret, _, _]) = fields[..]
        else {
            return Err(PhoneError::BadQr("the text must have four to six fields between commas"));
        };
        if reference.is_empty() {
            return Err(PhoneError::BadQr("the reference is empty"));
        }
        Ok(Self {
            reference: reference.to_owned(),
            noise: key(noise)?,
            identity: key(identity)?,
            secret: key(secret)?,
        })
    }
}

fn key(text: &str) -> Result<Key, PhoneError> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(PhoneError::BadQr("each key must be 32 bytes in base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reference: &str) -> String {
        let keys: Vec<_> = (1..=3).map(|n| BASE64_STANDARD.encode([n; 32])).collect();
        format!("{reference},{}", keys.join(","))
    }

    #[test]
    fn bare_qr_and_link_are_equal() {
        let bare = Qr::read(&format!("{},9", text("2@abc"))).unwrap();
        assert_eq!(bare, Qr::read(&format!("{LINK}{},1\n", text("2@abc"))).unwrap());
        assert_eq!(bare, Qr::read(&text("2@abc")).unwrap());
        assert_eq!(bare, Qr::read(&format!("{},9,https://example.org", text("2@abc"))).unwrap());
        assert_eq!((bare.reference.as_str(), bare.secret), ("2@abc", [3; 32]));
    }

    #[test]
    fn malformed_qr_is_refused() {
        let long = format!("{},9,10,11", text("2@abc"));
        let wrong = text("2@abc").replace("AQEB", "!!!!");
        for bad in ["", ",", "a,b,c,d", "https://example.org/#a", &text(""), &long, &wrong] {
            assert!(matches!(Qr::read(bad), Err(PhoneError::BadQr(_))), "{bad}");
        }
    }
}

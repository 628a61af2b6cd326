//! Cursors: positions in a list, as signed text of version, position and signature.
//!
//! The signature (HMAC-SHA256, truncated) also covers the identity of the list: name, organization
//! and filters. A cursor is therefore valid in its own list only, and callers cannot forge one.
//! Routers of one database share the key. The position is not encrypted, because it belongs to the
//! caller.
//!
//! Decision: ADR 0015.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{OrganizationId, Timestamp};
use subtle::ConstantTimeEq;

/// The version of the format; increased with each change of the position or of the signed identity.
const VERSION: u8 = 3;
const POSITION_BYTES: usize = 1 + 8 + 16;
const SIGNATURE_BYTES: usize = 16;

/// The key that signs cursors.
#[derive(Clone)]
pub(crate) struct CursorSigner(Arc<hmac::Key>);

impl CursorSigner {
    /// Creates the signer with this secret.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Returns the identity of a list without filters. A list without organization is empty, so
    /// that no cursor exists for it.
    pub(crate) fn list(&self, name: &str, organization: Option<&OrganizationId>) -> ListIdentity {
        let list = ListIdentity { signer: self.clone(), identity: b"berth cursor".to_vec() };
        let list = list.with_filter("name", name);
        list.with_filter("organization", organization.map_or("", OrganizationId::as_str))
    }
}

/// The identity of a list: its name, organization and filters.
#[derive(Clone)]
pub(crate) struct ListIdentity {
    signer: CursorSigner,
    identity: Vec<u8>,
}

/// A position in a list that is ordered from the newest to the oldest: creation time and id of an
/// entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CursorPosition {
    pub(crate) created_at: Timestamp,
    pub(crate) bits: u128,
}

impl ListIdentity {
    /// Adds a filter. Filters must always be added in the same order.
    pub(crate) fn with_filter(mut self, condition: &str, value: &str) -> Self {
        for part in [condition, value] {
            // The length prefix keeps different lists distinct.
            self.identity.extend_from_slice(&(part.len() as u64).to_be_bytes());
            self.identity.extend_from_slice(part.as_bytes());
        }
        self
    }

    fn sign(&self, position: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut context = hmac::Context::with_key(&self.signer.0);
        context.update(position);
        context.update(&self.identity);
        let mut sign = [0; SIGNATURE_BYTES];
        sign.copy_from_slice(&context.sign().as_ref()[..SIGNATURE_BYTES]);
        sign
    }
}

impl std::fmt::Debug for ListIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List({:?})", String::from_utf8_lossy(&self.identity))
    }
}

/// Returns the cursor for the entries after `position` in this list.
pub(crate) fn encode(list: &ListIdentity, position: CursorPosition) -> String {
    let mut bytes = Vec::with_capacity(POSITION_BYTES + SIGNATURE_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&position.created_at.millis().to_be_bytes());
    bytes.extend_from_slice(&position.bits.to_be_bytes());
    let sign = list.sign(&bytes);
    bytes.extend_from_slice(&sign);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a cursor; `None` when it was not issued for this list.
pub(crate) fn decode(list: &ListIdentity, text: &str) -> Option<CursorPosition> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (position, signature) = bytes.split_at_checked(POSITION_BYTES)?;
    if !bool::from(list.sign(position).ct_eq(signature)) {
        return None;
    }
    let (version, rest) = position.split_first()?;
    let (created_at, bits) = rest.split_first_chunk::<8>()?;
    (*version == VERSION).then_some(CursorPosition {
        created_at: Timestamp::from_millis(i64::from_be_bytes(*created_at)),
        bits: u128::from_be_bytes(bits.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, organization: &str) -> ListIdentity {
        CursorSigner::new(&[1; 32]).list(name, OrganizationId::parse(organization).as_ref())
    }

    #[test]
    fn cursor_decodes_in_its_own_list_only() {
        let position = CursorPosition { created_at: Timestamp::from_millis(-5), bits: 1 << 90 | 7 };
        let mine = list("sessions", "acme");
        let text = encode(&mine, position);
        assert_eq!(decode(&mine, &text), Some(position));
        for other in [
            list("sessions", "zeta"),
            list("keys", "acme"),
            list("sessions", ""),
            mine.clone().with_filter("status", "working"),
            mine.with_filter("", ""),
            CursorSigner::new(&[2; 32]).list("sessions", OrganizationId::parse("acme").as_ref()),
        ] {
            assert_eq!(decode(&other, &text), None, "{other:?}");
        }
    }

    #[test]
    fn filter_values_are_delimited() {
        let all = list("sessions", "acme");
        let one = all.clone().with_filter("label", "a").with_filter("status", "b");
        let other = all.with_filter("label", "a\0status\0b");
        assert_ne!(one.identity, other.identity);
    }

    #[test]
    fn changed_cursor_is_rejected() {
        let acme = list("sessions", "acme");
        let text = encode(&acme, CursorPosition { created_at: Timestamp::from_millis(1), bits: 2 });
        for at in 0..text.len() {
            for letter in ["A", "B", "_", "", "AA", "=", " "] {
                let changed = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
                assert!(changed == text || decode(&acme, &changed).is_none(), "{changed}");
            }
        }
        for text in ["", "null", "AQ", &"A".repeat(44), &"A".repeat(10_000), "ü"] {
            assert_eq!(decode(&acme, text), None);
        }
    }
}

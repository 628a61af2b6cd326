//! Where a list goes on, as text that only we write: a version, the position, and a seal.
//!
//! The seal also covers the organization, so a cursor from one list is no cursor of another. It
//! keeps honest callers from building cursors by hand; it holds no secret yet.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{OrganizationId, SessionId, Timestamp, ports::Position};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Grows when the shape of a position does.
const VERSION: u8 = 1;
const POSITION: usize = 1 + 8 + 16;
const SEAL: usize = 8;

/// The cursor for what comes after `position` in a list of this organization.
pub(crate) fn write(organization: &OrganizationId, position: &Position) -> String {
    let mut bytes = Vec::with_capacity(POSITION + SEAL);
    bytes.push(VERSION);
    bytes.extend_from_slice(&position.created_at.millis().to_be_bytes());
    bytes.extend_from_slice(&position.id.bits().to_be_bytes());
    let seal = seal(organization, &bytes);
    bytes.extend_from_slice(&seal);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `None` when we did not write it, or not for this organization.
pub(crate) fn read(organization: &OrganizationId, text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (position, sealed) = bytes.split_at_checked(POSITION)?;
    if !bool::from(seal(organization, position).ct_eq(sealed)) {
        return None;
    }
    let (version, rest) = position.split_first()?;
    let (created_at, id) = rest.split_first_chunk::<8>()?;
    let id: [u8; 16] = id.try_into().ok()?;
    (*version == VERSION).then(|| Position {
        created_at: Timestamp::from_millis(i64::from_be_bytes(*created_at)),
        id: SessionId::mint(u128::from_be_bytes(id)),
    })
}

fn seal(organization: &OrganizationId, position: &[u8]) -> [u8; SEAL] {
    let mut hash = Sha256::new();
    hash.update(b"berth cursor\0");
    hash.update(organization.as_str());
    hash.update(b"\0");
    hash.update(position);
    let mut seal = [0; SEAL];
    seal.copy_from_slice(&hash.finalize()[..SEAL]);
    seal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(name: &str) -> OrganizationId {
        OrganizationId::parse(name).unwrap()
    }

    #[test]
    fn a_cursor_reads_back_in_its_own_organization_alone() {
        let position =
            Position { created_at: Timestamp::from_millis(-5), id: SessionId::mint(1 << 90 | 7) };
        let text = write(&organization("acme"), &position);
        assert_eq!(read(&organization("acme"), &text), Some(position));
        assert_eq!(read(&organization("zeta"), &text), None);
    }

    #[test]
    fn no_changed_cursor_is_read() {
        let acme = organization("acme");
        let position = Position { created_at: Timestamp::from_millis(1), id: SessionId::mint(2) };
        let text = write(&acme, &position);
        for at in 0..text.len() {
            for letter in ["A", "B", "_", "", "AA", "=", " "] {
                let changed = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
                assert!(changed == text || read(&acme, &changed).is_none(), "{changed}");
            }
        }
        for text in ["", "null", "AQ", &"A".repeat(44), &"A".repeat(10_000), "ü"] {
            assert_eq!(read(&acme, text), None);
        }
    }
}

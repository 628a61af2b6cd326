//! Where a list goes on, as text that only we write: a version, the place, and a seal.
//!
//! The seal (HMAC-SHA256) also covers which list it is: its name, its organization and what was looked
//! for. So a cursor from one list is no cursor of another, and nobody makes one by hand. Routers over
//! one database share its key; the place itself is in the clear, for it is the caller's own.
//!
//! Decision: ADR 0015.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{OrganizationId, Timestamp};
use subtle::ConstantTimeEq;

/// Grows when the shape of a place or of what is sealed does.
const VERSION: u8 = 3;
const PLACE: usize = 1 + 8 + 16;
const SEAL: usize = 16;

/// What cursors are sealed with.
#[derive(Clone)]
pub(crate) struct Sealer(Arc<hmac::Key>);

impl Sealer {
    /// With this secret.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The list of this name. Without an organization there is nothing in it, and no cursor is given.
    pub(crate) fn list(&self, name: &str, organization: Option<&OrganizationId>) -> List {
        let list = List { sealer: self.clone(), what: b"berth cursor".to_vec() };
        let list = list.narrowed("name", name);
        list.narrowed("organization", organization.map_or("", OrganizationId::as_str))
    }
}

/// A list that cursors belong to.
#[derive(Clone)]
pub(crate) struct List {
    sealer: Sealer,
    what: Vec<u8>,
}

/// A place in a list that runs from the newest to the oldest: what stands there was made at this
/// moment and has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) created_at: Timestamp,
    pub(crate) bits: u128,
}

impl List {
    /// That of it which meets this condition; conditions come in one order.
    pub(crate) fn narrowed(mut self, condition: &str, value: &str) -> Self {
        for part in [condition, value] {
            // With its length, so that no two lists read the same.
            self.what.extend_from_slice(&(part.len() as u64).to_be_bytes());
            self.what.extend_from_slice(part.as_bytes());
        }
        self
    }

    fn into_commit(&self, place: &[u8]) -> [u8; SEAL] {
        let mut context = hmac::Context::with_key(&self.sealer.0);
        context.update(place);
        context.update(&self.what);
        let mut into_commit = [0; SEAL];
        into_commit.copy_from_slice(&context.sign().as_ref()[..SEAL]);
        into_commit
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "List({:?})", String::from_utf8_lossy(&self.what))
    }
}

/// The cursor for what comes after `place` in this list.
pub(crate) fn write(list: &List, place: Place) -> String {
    let mut bytes = Vec::with_capacity(PLACE + SEAL);
    bytes.push(VERSION);
    bytes.extend_from_slice(&place.created_at.millis().to_be_bytes());
    bytes.extend_from_slice(&place.bits.to_be_bytes());
    let into_commit = list.into_commit(&bytes);
    bytes.extend_from_slice(&into_commit);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `None` when we did not write it, or not for this list.
pub(crate) fn read(list: &List, text: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (place, sealed) = bytes.split_at_checked(PLACE)?;
    if !bool::from(list.into_commit(place).ct_eq(sealed)) {
        return None;
    }
    let (version, rest) = place.split_first()?;
    let (created_at, bits) = rest.split_first_chunk::<8>()?;
    (*version == VERSION).then_some(Place {
        created_at: Timestamp::from_millis(i64::from_be_bytes(*created_at)),
        bits: u128::from_be_bytes(bits.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, organization: &str) -> List {
        Sealer::new(&[1; 32]).list(name, OrganizationId::parse(organization).as_ref())
    }

    #[test]
    fn a_cursor_reads_back_in_its_own_list_alone() {
        let place = Place { created_at: Timestamp::from_millis(-5), bits: 1 << 90 | 7 };
        let mine = list("sessions", "acme");
        let text = write(&mine, place);
        assert_eq!(read(&mine, &text), Some(place));
        for other in [
            list("sessions", "zeta"),
            list("keys", "acme"),
            list("sessions", ""),
            mine.clone().narrowed("status", "working"),
            mine.narrowed("", ""),
            Sealer::new(&[2; 32]).list("sessions", OrganizationId::parse("acme").as_ref()),
        ] {
            assert_eq!(read(&other, &text), None, "{other:?}");
        }
    }

    #[test]
    fn conditions_do_not_run_into_each_other() {
        let all = list("sessions", "acme");
        let one = all.clone().narrowed("label", "a").narrowed("status", "b");
        let other = all.narrowed("label", "a\0status\0b");
        assert_ne!(one.what, other.what);
    }

    #[test]
    fn no_changed_cursor_is_read() {
        let acme = list("sessions", "acme");
        let text = write(&acme, Place { created_at: Timestamp::from_millis(1), bits: 2 });
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

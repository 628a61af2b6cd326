//! The keys that a device uploads for others that write to it: stored, counted, digested and handed
//! out.

use crate::encoding::Base64Text;
use crate::keys::Key;
use crate::stanza::{child_bytes, leaf, parent};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

/// One-time keys of one device, more than any client uploads; further ones are dropped.
const MAX_ONE_TIME_KEYS: usize = 2000;

/// A signed pre-key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SignedKey {
    pub(crate) id: u32,
    pub(crate) key: Base64Text<Key>,
    pub(crate) signature: Base64Text<Vec<u8>>,
}

/// The uploaded keys of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadedKeys {
    pub(crate) registration: u32,
    pub(crate) identity: Base64Text<Key>,
    pub(crate) signed: SignedKey,
    one_time: VecDeque<(u32, Base64Text<Key>)>,
}

/// The keys with which a session with a device is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedKeys {
    pub(crate) registration: u32,
    pub(crate) identity: Key,
    pub(crate) one_time: Option<(u32, Key)>,
    pub(crate) signed: SignedKey,
}

impl PublishedKeys {
    /// Parses the keys in a retry receipt; `None` if it has none.
    pub(crate) fn read(receipt: &NodeRef<'_>) -> Option<Self> {
        let keys = receipt.get_optional_child("keys")?;
        let one_time = keys.get_optional_child("key").and_then(|one_time| {
            Some((number(&child_bytes(one_time, "id")?), key(one_time, "value")?))
        });
        Some(Self {
            registration: number(&child_bytes(receipt, "registration")?),
            identity: key(keys, "identity")?,
            one_time,
            signed: SignedKey::read(keys.get_optional_child("skey")?)?,
        })
    }
}

impl UploadedKeys {
    /// Parses an upload; `None` if a key is missing or malformed.
    pub(crate) fn read(upload: &NodeRef<'_>) -> Option<Self> {
        let one_time = upload.get_optional_child("list").and_then(|list| list.children());
        Some(Self {
            registration: number(&child_bytes(upload, "registration")?),
            identity: Base64Text(key(upload, "identity")?),
            signed: SignedKey::read(upload.get_optional_child("skey")?)?,
            one_time: one_time
                .unwrap_or_default()
                .iter()
                .filter_map(|k| {
                    Some((number(&child_bytes(k, "id")?), Base64Text(key(k, "value")?)))
                })
                .take(MAX_ONE_TIME_KEYS)
                .collect(),
        })
    }

    /// Merges a further upload: new one-time keys join the old ones, unless the identity has
    /// changed.
    pub(crate) fn merge(&mut self, newer: Self) {
        let mut kept = std::mem::take(&mut self.one_time);
        let same = self.identity == newer.identity;
        *self = newer;
        if same {
            kept.retain(|(id, _)| !self.one_time.iter().any(|(new, _)| new == id));
            kept.extend(std::mem::take(&mut self.one_time));
            kept.truncate(MAX_ONE_TIME_KEYS);
            self.one_time = kept;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.one_time.len()
    }

    /// Removes and returns a one-time key, so that no other sender gets it.
    pub(crate) fn take_one_time(&mut self) -> Option<(u32, Key)> {
        self.one_time.pop_front().map(|(id, key)| (id, key.0))
    }

    /// Removes a one-time key and returns the keys with which a session is opened.
    pub(crate) fn take_published(&mut self) -> PublishedKeys {
        PublishedKeys {
            registration: self.registration,
            identity: self.identity.0,
            one_time: self.take_one_time(),
            signed: self.signed.clone(),
        }
    }

    /// Removes a one-time key and returns the device's entry for the answer to a key request.
    /// `approval` is the account's signed approval of the device, which clients verify.
    pub(crate) fn take_entry(&mut self, jid: &str, approval: &[u8]) -> Node {
        let mut children = vec![
            leaf("registration", self.registration.to_be_bytes()),
            leaf("type", [5]),
            leaf("identity", self.identity.0),
            self.signed.node(),
        ];
        if let Some((id, key)) = self.take_one_time() {
            children.push(parent("key", [leaf("id", key_id_bytes(id)), leaf("value", key)]));
        }
        if !approval.is_empty() {
            children.push(leaf("device-identity", approval));
        }
        NodeBuilder::new("user").attr("jid", jid).children(children).build()
    }

    /// Returns the stored keys with a hash, which the client compares.
    pub(crate) fn digest(&self) -> Node {
        let one_time: Vec<&[u8]> = self.one_time.iter().map(|(_, key)| &key.0[..]).collect();
        let hash = wacore::prekeys::compute_key_bundle_digest(
            &self.identity.0,
            &self.signed.key.0,
            &self.signed.signature.0,
            &one_time,
        );
        parent(
            "digest",
            [
                leaf("registration", self.registration.to_be_bytes()),
                leaf("type", [5]),
                leaf("identity", self.identity.0),
                self.signed.node(),
                parent("list", self.one_time.iter().map(|(id, _)| leaf("id", key_id_bytes(*id)))),
                leaf("hash", hash),
            ],
        )
    }
}

impl SignedKey {
    /// Parses an `skey` node.
    pub(crate) fn read(node: &NodeRef<'_>) -> Option<Self> {
        Some(Self {
            id: number(&child_bytes(node, "id")?),
            key: Base64Text(key(node, "value")?),
            signature: child_bytes(node, "signature").filter(|s| s.len() == 64).map(Base64Text)?,
        })
    }

    fn node(&self) -> Node {
        parent(
            "skey",
            [
                leaf("id", key_id_bytes(self.id)),
                leaf("value", self.key.0),
                leaf("signature", self.signature.0.clone()),
            ],
        )
    }
}

fn key(node: &NodeRef<'_>, tag: &str) -> Option<Key> {
    child_bytes(node, tag)?.try_into().ok()
}

/// Parses a big-endian number of any length.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn key_id_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(ids: &[u32], identity: u8) -> UploadedKeys {
        let keys = ids
            .iter()
            .map(|id| parent("key", [leaf("id", key_id_bytes(*id)), leaf("value", [7; 32])]));
        let signed =
            SignedKey { id: 9, key: Base64Text([2; 32]), signature: Base64Text(vec![3; 64]) };
        let node = parent(
            "iq",
            [
                leaf("registration", 70_000_u32.to_be_bytes()),
                leaf("identity", [identity; 32]),
                parent("list", keys),
                signed.node(),
            ],
        );
        UploadedKeys::read(&node.as_node_ref()).unwrap()
    }

    #[test]
    fn upload_is_parsed() {
        let mut bundle = upload(&[1, 300, 70_000], 1);
        assert_eq!((bundle.registration, bundle.count(), bundle.signed.id), (70_000, 3, 9));
        assert_eq!(bundle.take_one_time().unwrap().0, 1);
        assert_eq!(bundle.take_one_time().unwrap().0, 300);
    }

    #[test]
    fn one_time_key_is_handed_out_once() {
        let mut bundle = upload(&[1], 1);
        let first = bundle.take_entry("a", &[7]);
        assert!(first.get_optional_child("key").is_some());
        assert!(first.get_optional_child("device-identity").is_some());
        assert!(bundle.take_entry("b", &[]).get_optional_child("key").is_none());
    }

    #[test]
    fn further_upload_adds_keys_and_new_identity_replaces_them() {
        let mut bundle = upload(&[1, 2], 1);
        bundle.merge(upload(&[2, 3], 1));
        assert_eq!(bundle.count(), 3);
        bundle.merge(upload(&[8], 5));
        assert_eq!(bundle.count(), 1);
    }

    #[test]
    fn upload_without_a_signed_key_is_rejected() {
        let node = parent("iq", [leaf("registration", [1]), leaf("identity", [1; 32])]);
        assert_eq!(UploadedKeys::read(&node.as_node_ref()), None);
    }
}

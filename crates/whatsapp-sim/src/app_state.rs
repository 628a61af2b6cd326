//! The app state of an account on the server: encrypted patches for each collection, which the
//! server numbers and cannot read.

mod mutation;

use crate::encoding::Base64Text;
use crate::stanza::{attribute, child_bytes, content, leaf, parent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::{SyncActionValue, SyncdPatch, SyncdVersion};

/// Bounds: patches of one collection, bytes of one patch, and collections of an account. Real
/// accounts have five collections.
const MAX_PATCHES: usize = 200;
const MAX_PATCH: usize = 64 * 1024;
const MAX_COLLECTIONS: usize = 16;

/// The collections of one account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct AppState {
    key: Option<SharedKey>,
    collections: BTreeMap<String, Vec<Base64Text<Vec<u8>>>>,
}

/// The key that encrypts the patches; only the phone and its devices know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SharedKey {
    pub(crate) id: Base64Text<Vec<u8>>,
    pub(crate) data: Base64Text<[u8; 32]>,
}

impl AppState {
    pub(crate) fn key(&mut self) -> SharedKey {
        let made = || SharedKey {
            id: Base64Text(vec![0, 0, 0, 0, 0, 1]),
            data: Base64Text(rand::random()),
        };
        self.key.get_or_insert_with(made).clone()
    }

    /// Publishes a value under an index in a collection, as the phone does. Returns the new version
    /// of the collection; `None` if the collection is full.
    pub(crate) fn publish(
        &mut self,
        name: &str,
        index: &[&str],
        value: &SyncActionValue,
    ) -> Option<usize> {
        let key = self.key();
        let patches = self.collections.entry(name.to_owned()).or_default();
        if patches.len() >= MAX_PATCHES {
            return None;
        }
        let earlier = patches.iter().map(|patch| &patch.0[..]);
        let patch = mutation::patch(&key, name, earlier, index, value)?;
        patches.push(Base64Text(patch));
        Some(patches.len())
    }

    /// Answers a `sync`: applies the patch of each named collection, and returns the patches that
    /// the device lacks.
    pub(crate) fn sync(&mut self, sync: &NodeRef<'_>) -> Node {
        let asked = sync.children().unwrap_or_default().iter();
        parent("sync", asked.map(|collection| self.collection(collection)).collect::<Vec<_>>())
    }

    fn collection(&mut self, asked: &NodeRef<'_>) -> Node {
        let name = attribute(asked, "name");
        let device_version: usize = attribute(asked, "version").parse().unwrap_or(0);
        let known =
            self.collections.len() < MAX_COLLECTIONS || self.collections.contains_key(&name);
        let mut answer = NodeBuilder::new("collection").attr("name", name.as_str());
        let mut children = Vec::new();
        if known && let Some(patch) = patch(asked) {
            let patches = self.collections.entry(name.clone()).or_default();
            let room = patches.len() < MAX_PATCHES && patch.len() <= MAX_PATCH;
            if device_version == patches.len() && room {
                patches.push(Base64Text(with_version(patch, patches.len() + 1)));
                return answer.attr("version", patches.len()).build();
            }
            answer = answer.attr("type", "error");
            children.push(
                NodeBuilder::new("error").attr("code", "409").attr("text", "conflict").build(),
            );
        }
        let patches = self.collections.get(&name).map(Vec::as_slice).unwrap_or_default();
        let newer = patches.get(device_version..).unwrap_or_default();
        if !newer.is_empty() {
            children
                .push(parent("patches", newer.iter().map(|patch| leaf("patch", patch.0.clone()))));
        }
        let answer = answer.attr("version", patches.len());
        if children.is_empty() { answer.build() } else { answer.children(children).build() }
    }
}

/// Returns the patch of a request, alone or as the first of several.
fn patch(asked: &NodeRef<'_>) -> Option<Vec<u8>> {
    child_bytes(asked, "patch")
        .or_else(|| content(asked.get_optional_child("patches")?.get_optional_child("patch")?))
}

/// Adds the version that the server assigns to a patch.
fn with_version(patch: Vec<u8>, version: usize) -> Vec<u8> {
    let Ok(mut decoded) = SyncdPatch::decode_from_slice(&patch[..]) else { return patch };
    decoded.version = MessageField::some(SyncdVersion { version: u64::try_from(version).ok() });
    decoded.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(state: &mut AppState, version: usize, patch: Option<&[u8]>) -> Node {
        let collection =
            NodeBuilder::new("collection").attr("name", "regular").attr("version", version);
        let collection = match patch {
            Some(bytes) => collection.children([leaf("patch", bytes)]).build(),
            None => collection.build(),
        };
        let answer = state.sync(&parent("sync", [collection]).as_node_ref());
        answer.children().unwrap()[0].clone()
    }

    fn version(node: &Node) -> String {
        node.attrs.get("version").unwrap().as_str().into_owned()
    }

    #[test]
    fn unused_collection_has_version_zero() {
        let answer = ask(&mut AppState::default(), 0, None);
        assert_eq!((version(&answer).as_str(), answer.children()), ("0", None));
    }

    #[test]
    fn device_gets_the_patches_after_its_version() {
        let mut state = AppState::default();
        assert_eq!(version(&ask(&mut state, 0, Some(b""))), "1");
        assert_eq!(version(&ask(&mut state, 1, Some(b""))), "2");
        let answer = ask(&mut state, 1, None);
        let patches = answer.get_optional_child("patches").unwrap().children().unwrap();
        assert_eq!((version(&answer).as_str(), patches.len()), ("2", 1));
        let wacore_binary::NodeContent::Bytes(bytes) = patches[0].content.as_ref().unwrap() else {
            panic!("a patch is bytes")
        };
        let patch = SyncdPatch::decode_from_slice(&bytes[..]).unwrap();
        assert_eq!(patch.version.as_option().unwrap().version, Some(2));
    }

    #[test]
    fn patch_for_an_old_version_is_a_conflict() {
        let mut state = AppState::default();
        ask(&mut state, 0, Some(b""));
        let answer = ask(&mut state, 0, Some(b""));
        assert_eq!(answer.attrs.get("type").unwrap().as_str(), "error");
        assert_eq!(version(&answer), "1");
    }
}

//! Encrypts a setting as a patch that follows the earlier patches of a collection. The phone has
//! the key, so the phone can compute the hash over all earlier values.

use crate::app_state::SharedKey;
use std::collections::HashMap;
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::{encode_record, expand_app_state_keys};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{KeyId, SyncActionValue, SyncdMutation, SyncdPatch, SyncdVersion};

/// The version of the schema of all actions here, as WhatsApp's clients number it.
const ACTION_VERSION: i32 = 1;

/// Returns a patch that sets one value; `None` if an earlier patch is malformed.
pub(super) fn patch<'a>(
    key: &SharedKey,
    collection: &str,
    earlier: impl Iterator<Item = &'a [u8]>,
    index: &[&str],
    value: &SyncActionValue,
) -> Option<Vec<u8>> {
    let keys = expand_app_state_keys(&key.data.0);
    let mut state = HashState::default();
    let mut values = HashMap::new();
    for bytes in earlier {
        let earlier = SyncdPatch::decode_from_slice(bytes).ok()?;
        apply(&mut state, &mut values, &earlier.mutations)?;
    }
    let index = serde_json::to_vec(index).ok()?;
    let (set, iv) = (SyncdOperation::SET, rand::random());
    let (mutation, _) = encode_record(set, &index, value, &keys, &key.id.0, &iv, ACTION_VERSION);
    let mutations = vec![mutation];
    apply(&mut state, &mut values, &mutations)?;
    let version = state.version;
    let mut patch = SyncdPatch {
        version: MessageField::some(SyncdVersion { version: Some(version) }),
        mutations,
        snapshot_mac: Some(state.generate_snapshot_mac(collection, &keys.snapshot_mac)),
        key_id: MessageField::some(KeyId { id: Some(key.id.0.clone()) }),
        device_index: Some(0),
        ..Default::default()
    };
    patch.patch_mac = Some(generate_patch_mac(&patch, collection, &keys.patch_mac, version));
    Some(patch.encode_to_vec())
}

/// Applies the mutations of one patch to the hash and to the table of values by index.
fn apply(
    state: &mut HashState,
    values: &mut HashMap<Vec<u8>, Vec<u8>>,
    mutations: &[SyncdMutation],
) -> Option<()> {
    state.version += 1;
    let before = &*values;
    let (_, hashed) = state.update_hash(mutations, |index, _| Ok(before.get(index).cloned()));
    hashed.ok()?;
    for mutation in mutations {
        let record = mutation.record.as_option()?;
        let index = record.index.as_option()?.blob.clone()?;
        let blob = record.value.as_option()?.blob.as_ref()?;
        let tail = blob.get(blob.len().checked_sub(32)?..)?;
        values.insert(index, tail.to_vec());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::Base64Text;
    use std::sync::Arc;
    use wacore::appstate::process_patch;
    use waproto::whatsapp::sync_action_value::NctSaltSyncAction;

    #[test]
    fn patches_pass_the_checks_of_the_engine() {
        let key = SharedKey { id: Base64Text(vec![0, 1]), data: Base64Text([7; 32]) };
        let value = |salt: u8| SyncActionValue {
            nct_salt_sync_action: MessageField::some(NctSaltSyncAction { salt: Some(vec![salt]) }),
            ..Default::default()
        };
        let mut patches: Vec<Vec<u8>> = Vec::new();
        for salt in 1..=3 {
            let earlier = patches.iter().map(Vec::as_slice);
            let index = if salt == 2 { "other" } else { "nct_salt_sync" };
            let next = patch(&key, "regular_high", earlier, &[index], &value(salt)).unwrap();
            patches.push(next);
        }
        let keys = Arc::new(expand_app_state_keys(&key.data.0));
        let (mut state, mut macs) = (HashState::default(), HashMap::new());
        for (at, bytes) in patches.iter().enumerate() {
            let patch = SyncdPatch::decode_from_slice(&bytes[..]).unwrap();
            let processed = process_patch(
                &patch,
                &mut state,
                |_| Ok(Arc::clone(&keys)),
                |index| Ok(macs.get(index).cloned()),
                true,
                "regular_high",
            )
            .unwrap();
            assert_eq!(state.version, u64::try_from(at + 1).unwrap());
            let [mutation] = &processed.mutations[..] else { panic!("one mutation") };
            assert!(mutation.action_value.as_ref().unwrap().nct_salt_sync_action.is_set());
            for mac in processed.added_macs {
                macs.insert(mac.index_mac, mac.value_mac);
            }
        }
    }
}

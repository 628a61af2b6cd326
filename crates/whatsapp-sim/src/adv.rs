//! The signatures by which account and device confirm each other, and the signed list of an
//! account's devices.

use crate::account::Account;
use crate::clock;
use crate::keys::{self, Key};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wacore::libsignal::protocol::CurveError;
use waproto::buffa::Message as _;
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVEncryptionType, ADVKeyIndexList, ADVSignedDeviceIdentity,
    ADVSignedDeviceIdentityHMAC, ADVSignedKeyIndexList,
};

/// The prefix of each kind of signature, which prevents the use of one kind as another.
const ACCOUNT_SIGNATURE_PREFIX: [u8; 2] = [6, 0];
const DEVICE_SIGNATURE_PREFIX: [u8; 2] = [6, 1];
const KEY_INDEX_PREFIX: [u8; 2] = [6, 2];
const HOSTED_PREFIX: [u8; 2] = [6, 5];

/// The account's approval of a device.
pub(crate) struct Approval {
    /// The signed bytes.
    pub(crate) details: Vec<u8>,
    /// The encoded approval, authenticated with the secret that only client and phone know.
    pub(crate) container: Vec<u8>,
}

/// Approves a device with this identity under this id.
pub(crate) fn approve(
    account: &Account,
    device: u32,
    identity: &Key,
    secret: &Key,
) -> Result<Approval, CurveError> {
    let details = ADVDeviceIdentity {
        raw_id: Some(account.raw_id),
        timestamp: Some(clock::seconds()),
        key_index: Some(device),
        account_type: Some(ADVEncryptionType::E2EE),
        device_type: Some(ADVEncryptionType::E2EE),
    }
    .encode_to_vec();
    let signature = keys::sign(&account.keys, &[&ACCOUNT_SIGNATURE_PREFIX, &details, identity])?;
    let signed = ADVSignedDeviceIdentity {
        details: Some(details.clone()),
        account_signature_key: Some(keys::public(&account.keys).to_vec()),
        account_signature: Some(signature),
        device_signature: None,
    }
    .encode_to_vec();
    // A hosted account is marked in the outer message only; the device within is an ordinary one.
    let prefix: &[u8] = if account.hosted { &HOSTED_PREFIX } else { &[] };
    let container = ADVSignedDeviceIdentityHMAC {
        hmac: Some(hmac(secret, &[prefix, &signed].concat())),
        details: Some(signed),
        account_type: account.hosted.then_some(ADVEncryptionType::HOSTED),
    };
    Ok(Approval { details, container: container.encode_to_vec() })
}

fn hmac(secret: &Key, bytes: &[u8]) -> Vec<u8> {
    // Cannot fail: HMAC accepts keys of any length.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret) else { return Vec::new() };
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

/// Returns whether the device has signed the approval with its identity key.
pub(crate) fn is_signed_by_device(
    answer: &[u8],
    details: &[u8],
    identity: &Key,
    account: &Account,
) -> bool {
    let Ok(answer) = ADVSignedDeviceIdentity::decode_from_slice(answer) else { return false };
    let signature = answer.device_signature.unwrap_or_default();
    let key = keys::public(&account.keys);
    keys::verify(identity, &[&DEVICE_SIGNATURE_PREFIX, details, identity, &key], &signature)
}

/// Returns the approval as others get it: signed by account and device, with the account's key,
/// which the device omits.
pub(crate) fn published_approval(answer: &[u8], account: &Account) -> Vec<u8> {
    let Ok(mut answer) = ADVSignedDeviceIdentity::decode_from_slice(answer) else {
        return Vec::new();
    };
    answer.account_signature_key = Some(keys::public(&account.keys).to_vec());
    answer.encode_to_vec()
}

/// Returns the signed list of the account's devices.
pub(crate) fn key_index_list(account: &Account) -> Result<Vec<u8>, CurveError> {
    let mut valid_indexes = vec![0];
    valid_indexes.extend(account.devices.keys());
    let details = ADVKeyIndexList {
        raw_id: Some(account.raw_id),
        timestamp: Some(clock::seconds()),
        current_index: Some(account.last_device),
        valid_indexes,
        account_type: Some(ADVEncryptionType::E2EE),
    }
    .encode_to_vec();
    let signature = keys::sign(&account.keys, &[&KEY_INDEX_PREFIX, &details])?;
    Ok(ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: Some(signature),
        ..Default::default()
    }
    .encode_to_vec())
}

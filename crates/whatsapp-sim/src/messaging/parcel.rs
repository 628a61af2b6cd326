//! A message on its way to a phone: sealed by the sender's device, or open if another phone wrote
//! the message.

use crate::address::Addressing;
use crate::encoding::Base64Text;
use serde::{Deserialize, Serialize};

/// A message to a phone, stored until the phone has received it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parcel {
    /// The position in the phone's queue; assigned by the account.
    pub(crate) seq: u64,
    pub(crate) id: String,
    /// The sender's number and device.
    pub(crate) from: String,
    pub(crate) device: u32,
    pub(crate) addressing: Addressing,
    /// The number of the partner from the phone's point of view.
    pub(crate) chat: String,
    /// The address of the partner in the namespace of the message.
    pub(crate) chat_jid: String,
    /// Whether the message only serves the devices of one account and belongs to no chat.
    pub(crate) internal: bool,
    pub(crate) timestamp: u64,
    pub(crate) edit: Option<String>,
    pub(crate) body: ParcelBody,
}

/// The content of a message to a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ParcelBody {
    /// The encoded message.
    Plain(Base64Text<Vec<u8>>),
    /// A ciphertext with its type: `pkmsg` or `msg`.
    Sealed(String, Base64Text<Vec<u8>>),
}

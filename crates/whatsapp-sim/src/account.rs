//! An account with its phone: the linked devices, the settings, and the messages of the phone.

use crate::address::{Address, Addressing};
use crate::app_state::AppState;
use crate::clock;
use crate::encoding::Base64Text;
use crate::keys::{self, Key};
use crate::login_refusal::{LoginRefusal, Version};
use crate::messaging::conversation::Conversations;
use crate::messaging::parcel::Parcel;
use crate::messaging::queue::DeliveryQueue;
use crate::prekeys::UploadedKeys;
use crate::signal::{Peer, Signal};
use crate::socket::Socket;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use wacore::libsignal::protocol::{CurveError, KeyPair};
use wacore_binary::Node;

/// A device id is one byte in an address.
const MAX_DEVICE_ID: u32 = 255;
/// Messages to devices outside of chats, which the devices may ask for again.
const MAX_INTERNAL_MESSAGES: usize = 64;
/// Observations that a phone stores.
const MAX_OBSERVATIONS: usize = 10_000;

/// A phone and its account.
pub(crate) struct Account {
    pub(crate) number: String,
    pub(crate) lid: String,
    pub(crate) name: String,
    pub(crate) keys: KeyPair,
    pub(crate) raw_id: u32,
    /// Whether a host keeps the messages of this business account, which links with another kind of
    /// signature.
    pub(crate) hosted: bool,
    pub(crate) last_device: u32,
    pub(crate) devices: BTreeMap<u32, Device>,
    pub(crate) signal: Signal,
    pub(crate) app_state: AppState,
    pub(crate) settings: AccountSettings,
    pub(crate) conversations: Conversations,
    /// Messages that the phone has not received yet.
    pub(crate) parcels: VecDeque<Parcel>,
    pub(crate) next_parcel: u64,
    /// The retries that the phone has asked for, by message id and sender.
    pub(crate) retries: HashMap<(String, Peer), u32>,
    pub(crate) internal_messages: VecDeque<InternalMessage>,
    pub(crate) observations: VecDeque<Observation>,
}

/// The settings of an account.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AccountSettings {
    /// Whether the phone has a connection.
    pub(crate) online: bool,
    /// Other spellings of the number, which the directory resolves.
    pub(crate) aliases: BTreeSet<String>,
    /// Whether the account's chats are addressed by LID.
    pub(crate) lid_migrated: bool,
    /// Whether the number behind the LID is concealed from others.
    pub(crate) number_hidden: bool,
    /// Whether the phone tells others which messages were read.
    pub(crate) read_receipts: bool,
    /// Whether the phone gives its devices the content of messages that they cannot decrypt.
    pub(crate) placeholder_resend: bool,
    /// Overrides of the properties that clients fetch, by code.
    pub(crate) props: BTreeMap<u32, String>,
    /// The salt of the account's tokens for first contacts.
    pub(crate) nct_salt: Option<Base64Text<Vec<u8>>>,
    /// The privacy tokens that the account gave to others, by their numbers.
    pub(crate) issued_tokens: BTreeMap<String, IssuedToken>,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            online: true,
            aliases: BTreeSet::new(),
            lid_migrated: false,
            number_hidden: false,
            read_receipts: true,
            placeholder_resend: false,
            props: BTreeMap::new(),
            nct_salt: None,
            issued_tokens: BTreeMap::new(),
        }
    }
}

/// A privacy token that an account gave to another account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IssuedToken {
    pub(crate) token: Base64Text<Vec<u8>>,
    /// The time that the issuer named, in Unix seconds.
    pub(crate) timestamp: u64,
}

/// A message of a phone to one of its devices, outside of any chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InternalMessage {
    pub(crate) id: String,
    pub(crate) device: u32,
    /// Whether the message is a note to oneself and not for the device only.
    pub(crate) note: bool,
    pub(crate) protobuf: Vec<u8>,
}

/// The description that a client sent when it asked to be linked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    pub(crate) platform: String,
    pub(crate) os: String,
    /// Whether the client takes the first history chunk inline, within the message that announces
    /// it.
    pub(crate) inline_history: bool,
}

/// A linked device.
pub(crate) struct Device {
    pub(crate) id: u32,
    pub(crate) noise: Key,
    pub(crate) identity: Key,
    pub(crate) description: Description,
    pub(crate) linked_at: u64,
    pub(crate) bundle: Option<UploadedKeys>,
    /// The account's approval of the device, signed by both.
    pub(crate) approval: Vec<u8>,
    pub(crate) greeted: bool,
    pub(crate) refusal: Option<LoginRefusal>,
    pub(crate) version: Version,
    pub(crate) connection: Option<DeviceConnection>,
    pub(crate) queue: DeliveryQueue,
    /// Messages of phones that wait until the device has uploaded keys.
    pub(crate) awaiting_keys: VecDeque<UnsealedCopy>,
}

/// The open connection of a device.
pub(crate) struct DeviceConnection {
    pub(crate) socket: Socket,
    /// Whether the client has asked for queued stanzas.
    pub(crate) active: bool,
    /// Whether the client announced that its user is there.
    pub(crate) available: bool,
    /// The numbers whose presence the client wants to know.
    pub(crate) subscriptions: BTreeSet<String>,
}

/// A message of a phone to one device, before the encryption.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnsealedCopy {
    /// The number of the phone.
    pub(crate) from: String,
    /// The stanza without its ciphertext.
    pub(crate) stanza: Node,
    pub(crate) padded: Vec<u8>,
    pub(crate) media: Option<&'static str>,
    /// The number of the retry; 0 for the first transmission.
    pub(crate) retry: u32,
    /// Whether the ciphertext is made unreadable.
    pub(crate) garbled: bool,
}

/// The presence or the typing of another account, as a phone shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// `presence` or `typing`.
    pub kind: &'static str,
    /// The number of the account.
    pub from: String,
    /// The device of the account; 0 is the phone.
    pub device: u32,
    /// `available` or `unavailable`; `composing`, `recording` or `paused`.
    pub state: String,
    /// The time in Unix milliseconds.
    pub at: u64,
}

/// A linked device as the phone lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedDevice {
    /// The number of the device within its account, from 1 to 255.
    pub id: u32,
    /// The address of the device by phone number.
    pub jid: String,
    /// The kind of client in lower case: `chrome`, `desktop`, ….
    pub platform: String,
    /// The name of the client's operating system, as the client sends it.
    pub os: String,
    /// Whether the device is logged in.
    pub connected: bool,
    /// The time of the link, in Unix milliseconds.
    pub linked_at: u64,
}

impl Account {
    pub(crate) fn new(number: &str, name: &str) -> Result<Self, CurveError> {
        let lid = format!("1{:014}", rand::random::<u64>() % 100_000_000_000_000);
        Self::restore(number, &lid, name, keys::generate(), rand::random())
    }

    pub(crate) fn restore(
        number: &str,
        lid: &str,
        name: &str,
        keys: KeyPair,
        raw_id: u32,
    ) -> Result<Self, CurveError> {
        Ok(Self {
            number: number.into(),
            lid: lid.into(),
            name: name.into(),
            signal: Signal::new(&keys)?,
            keys,
            raw_id,
            hosted: false,
            last_device: 0,
            devices: BTreeMap::new(),
            app_state: AppState::default(),
            settings: AccountSettings::default(),
            conversations: Conversations::default(),
            parcels: VecDeque::new(),
            next_parcel: 0,
            retries: HashMap::new(),
            internal_messages: VecDeque::new(),
            observations: VecDeque::new(),
        })
    }

    /// Returns the next device id: an unused one, and a former id only after all ids were used.
    pub(crate) fn next_device(&self) -> Option<u32> {
        (1..=MAX_DEVICE_ID)
            .map(|step| (self.last_device + step - 1) % MAX_DEVICE_ID + 1)
            .find(|id| !self.devices.contains_key(id))
    }

    /// Returns the address of a device; device 0 is the phone.
    pub(crate) fn address(&self, device: u32, addressing: Addressing) -> String {
        let user = if addressing == Addressing::Lid { &self.lid } else { &self.number };
        Address::format(user, device, addressing)
    }

    /// Returns the address of a device by phone number.
    pub(crate) fn jid(&self, device: u32) -> String {
        self.address(device, Addressing::Pn)
    }

    /// Returns the address of a device by LID (hidden id).
    pub(crate) fn lid_jid(&self, device: u32) -> String {
        self.address(device, Addressing::Lid)
    }

    /// Returns the namespace in which the account writes.
    pub(crate) fn addressing(&self) -> Addressing {
        if self.settings.lid_migrated { Addressing::Lid } else { Addressing::Pn }
    }

    /// Returns whether the user of a linked device is announced as available.
    pub(crate) fn has_available_device(&self) -> bool {
        self.devices.values().any(|d| d.connection.as_ref().is_some_and(|c| c.available))
    }

    /// Returns whether `user` is the phone number or the LID of this account.
    pub(crate) fn has_address(&self, user: &str) -> bool {
        self.number == user || self.lid == user
    }

    pub(crate) fn linked_devices(&self) -> Vec<LinkedDevice> {
        self.devices
            .values()
            .map(|device| LinkedDevice {
                id: device.id,
                jid: self.jid(device.id),
                platform: device.description.platform.clone(),
                os: device.description.os.clone(),
                connected: device.connection.is_some(),
                linked_at: device.linked_at,
            })
            .collect()
    }

    pub(crate) fn store_internal(&mut self, message: InternalMessage) {
        if self.internal_messages.len() == MAX_INTERNAL_MESSAGES {
            self.internal_messages.pop_front();
        }
        self.internal_messages.push_back(message);
    }

    pub(crate) fn observe(&mut self, observation: Observation) {
        if self.observations.len() == MAX_OBSERVATIONS {
            self.observations.pop_front();
        }
        self.observations.push_back(observation);
    }
}

impl Device {
    pub(crate) fn new(id: u32, noise: Key, identity: Key, description: Description) -> Self {
        Self {
            id,
            noise,
            identity,
            description,
            linked_at: clock::millis(),
            bundle: None,
            greeted: false,
            refusal: None,
            version: Version::default(),
            connection: None,
            approval: Vec::new(),
            queue: DeliveryQueue::default(),
            awaiting_keys: VecDeque::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(account: &mut Account) -> u32 {
        let id = account.next_device().unwrap();
        account.last_device = id;
        account.devices.insert(id, Device::new(id, [0; 32], [0; 32], Description::default()));
        id
    }

    #[test]
    fn device_ids_fit_in_a_byte_and_are_reused_last() {
        let mut account = Account::new("15550000001", "Ann").unwrap();
        assert_eq!((link(&mut account), link(&mut account)), (1, 2));
        account.devices.remove(&2);
        assert_eq!(link(&mut account), 3);
        for _ in 0..1000 {
            let id = link(&mut account);
            assert!((1..=255).contains(&id) && id != 1 && id != 3);
            account.devices.remove(&id);
        }
    }

    #[test]
    fn account_has_addresses_by_number_and_by_lid() {
        let account = Account::new("15550000001", "Ann").unwrap();
        assert!(
            account.has_address("15550000001")
                && account.has_address(&account.lid)
                && !account.has_address("1555")
        );
        assert_eq!(account.lid.len(), 15);
    }
}

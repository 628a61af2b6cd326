//! An account with its phone: the linked devices, and the messages queued for each.

use crate::app_state::AppState;
use crate::clock;
use crate::keys::{self, Key};
use crate::login_refusal::{LoginRefusal, Version};
use crate::prekeys::UploadedKeys;
use crate::signal::Signal;
use crate::socket::Socket;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use wacore::libsignal::protocol::{CurveError, KeyPair};
use wacore_binary::Node;
use waproto::whatsapp::Message;

/// A device id is one byte in an address.
const MAX_DEVICE_ID: u32 = 255;
/// Messages queued for one device, delivered ones included.
const MAX_QUEUED_MESSAGES: usize = 256;
/// Received texts that a phone stores.
const MAX_STORED_TEXTS: usize = 256;

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
    pub(crate) texts: VecDeque<String>,
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
    pub(crate) greeted: bool,
    pub(crate) refusal: Option<LoginRefusal>,
    pub(crate) version: Version,
    pub(crate) connection: Option<DeviceConnection>,
    pub(crate) queued_messages: VecDeque<QueuedMessage>,
}

/// The open connection of a device.
pub(crate) struct DeviceConnection {
    pub(crate) socket: Socket,
    /// Whether the client has asked for queued messages.
    pub(crate) active: bool,
}

/// A message to a device, kept until the device confirms it.
pub(crate) struct QueuedMessage {
    pub(crate) id: String,
    pub(crate) message: Message,
    pub(crate) category: Option<&'static str>,
    pub(crate) encrypted: Option<Node>,
    pub(crate) attempts: u32,
    /// Whether the device has confirmed the message. A confirmed message is kept for a while,
    /// because the device may still ask for a retry.
    pub(crate) delivered: bool,
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
            texts: VecDeque::new(),
        })
    }

    /// Returns the next device id: an unused one, and a former id only after all ids were used.
    pub(crate) fn next_device(&self) -> Option<u32> {
        (1..=MAX_DEVICE_ID)
            .map(|step| (self.last_device + step - 1) % MAX_DEVICE_ID + 1)
            .find(|id| !self.devices.contains_key(id))
    }

    /// Returns the address of a device by phone number.
    pub(crate) fn jid(&self, device: u32) -> String {
        format!("{}:{device}@s.whatsapp.net", self.number)
    }

    /// Returns the address of a device by LID (hidden id).
    pub(crate) fn lid_jid(&self, device: u32) -> String {
        format!("{}:{device}@lid", self.lid)
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

    pub(crate) fn store_text(&mut self, text: String) {
        if self.texts.len() == MAX_STORED_TEXTS {
            self.texts.pop_front();
        }
        self.texts.push_back(text);
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
            queued_messages: VecDeque::new(),
        }
    }

    /// Queues a message. A full queue drops its oldest confirmed message, or else its oldest
    /// message.
    pub(crate) fn enqueue(&mut self, id: String, message: Message, category: Option<&'static str>) {
        if self.queued_messages.len() == MAX_QUEUED_MESSAGES {
            let oldest =
                self.queued_messages.iter().position(|queued| queued.delivered).unwrap_or(0);
            self.queued_messages.remove(oldest);
        }
        let queued =
            QueuedMessage { id, message, category, encrypted: None, attempts: 0, delivered: false };
        self.queued_messages.push_back(queued);
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

    #[test]
    fn message_queue_of_an_absent_device_is_bounded() {
        let mut device = Device::new(1, [0; 32], [0; 32], Description::default());
        for n in 0..MAX_QUEUED_MESSAGES + 5 {
            device.enqueue(n.to_string(), Message::default(), None);
        }
        assert_eq!(device.queued_messages.len(), MAX_QUEUED_MESSAGES);
        assert_eq!(device.queued_messages[0].id, "5");
    }
}

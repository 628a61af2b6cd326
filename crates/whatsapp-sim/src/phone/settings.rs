//! The settings of a phone and its account, and its connection to the network.

use crate::account::AccountSettings;
use crate::clock;
use crate::encoding::Base64Text;
use crate::error::PhoneError;
use crate::initial_sync;
use crate::messaging::delivery;
use crate::messaging::inbox;
use crate::messaging::placeholder;
use crate::messaging::queue::StanzaClass;
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::phone::Phone;
use crate::stanza;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::MessageField;
use waproto::whatsapp::SyncActionValue;
use waproto::whatsapp::sync_action_value::NctSaltSyncAction;

/// The app-state collection and the index of the salt, as the engine reads them
/// (`client/app_state.rs` of whatsapp-rust 0.7.0).
const SALT_COLLECTION: &str = "regular_high";
const SALT_INDEX: &str = "nct_salt_sync";

/// Changes of the settings of a phone; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PhoneChanges {
    /// Other spellings of the number, which the directory resolves. Messages cannot be addressed to
    /// them.
    pub aliases: Option<BTreeSet<String>>,
    /// Whether the account's chats are addressed by LID. Connected devices get the LIDs of their
    /// chats at once, and the property at their next connection.
    pub lid_migrated: Option<bool>,
    /// Whether the number behind the LID is concealed from others.
    pub number_hidden: Option<bool>,
    /// Whether the phone tells others which messages were read.
    pub read_receipts: Option<bool>,
    /// Whether the phone gives its devices the content of messages that they cannot decrypt.
    pub placeholder_resend: Option<bool>,
    /// Whether the account has a salt for tokens to first contacts. A new salt is published as a
    /// setting.
    pub nct_salt: Option<bool>,
    /// Overrides of the properties that clients fetch, by code. They replace earlier overrides.
    pub props: Option<BTreeMap<u32, String>>,
}

/// The settings of a phone.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneState {
    /// Whether the phone has a connection.
    pub online: bool,
    /// Other spellings of the number.
    pub aliases: BTreeSet<String>,
    /// Whether the account's chats are addressed by LID.
    pub lid_migrated: bool,
    /// Whether the number behind the LID is concealed from others.
    pub number_hidden: bool,
    /// Whether the phone tells others which messages were read.
    pub read_receipts: bool,
    /// Whether the phone gives its devices the content of messages that they cannot decrypt.
    pub placeholder_resend: bool,
    /// Whether the account has a salt.
    pub nct_salt: bool,
}

impl From<&AccountSettings> for PhoneState {
    fn from(settings: &AccountSettings) -> Self {
        Self {
            online: settings.online,
            aliases: settings.aliases.clone(),
            lid_migrated: settings.lid_migrated,
            number_hidden: settings.number_hidden,
            read_receipts: settings.read_receipts,
            placeholder_resend: settings.placeholder_resend,
            nct_salt: settings.nct_salt.is_some(),
        }
    }
}

impl Phone {
    /// Returns the settings.
    pub fn state(&self) -> PhoneState {
        let mut state = self.network.state();
        let settings =
            state.account(&self.number).map(|account| PhoneState::from(&account.settings));
        settings.unwrap_or_default()
    }

    /// Changes the settings.
    ///
    /// # Errors
    /// Fails when an alias belongs to another phone; nothing is changed then.
    pub fn configure(&self, changes: &PhoneChanges) -> Result<(), PhoneError> {
        let mut state = self.network.state();
        if let Some(aliases) = &changes.aliases {
            state.set_aliases(&self.number, aliases.clone())?;
        }
        let settings = &mut state.account(&self.number)?.settings;
        let migrates = changes.lid_migrated == Some(true) && !settings.lid_migrated;
        settings.lid_migrated = changes.lid_migrated.unwrap_or(settings.lid_migrated);
        settings.number_hidden = changes.number_hidden.unwrap_or(settings.number_hidden);
        settings.read_receipts = changes.read_receipts.unwrap_or(settings.read_receipts);
        settings.placeholder_resend =
            changes.placeholder_resend.unwrap_or(settings.placeholder_resend);
        if let Some(props) = &changes.props {
            settings.props.clone_from(props);
        }
        match changes.nct_salt {
            Some(false) => settings.nct_salt = None,
            Some(true) if settings.nct_salt.is_none() => {
                publish_salt(&self.network, &mut state, &self.number)?;
            }
            _ => {}
        }
        if migrates {
            initial_sync::send_lid_mappings(&self.network, &mut state, &self.number);
        }
        drop(state);
        self.network.changed();
        Ok(())
    }

    /// Ends or restores the connection of the phone. An offline phone receives and sends nothing;
    /// its linked devices are not affected.
    pub fn set_online(&self, online: bool) {
        let mut state = self.network.state();
        if let Ok(account) = state.account(&self.number) {
            account.settings.online = online;
        }
        let requests = inbox::receive(&self.network, &mut state, &self.number);
        placeholder::answer(&self.network, &mut state, &self.number, requests);
        drop(state);
        self.network.changed();
    }

    /// Forgets all Signal sessions. The phone cannot decrypt the next message of a device, and asks
    /// for a retry; its own next message opens a new session.
    pub fn forget_sessions(&self) {
        let mut state = self.network.state();
        if let Ok(account) = state.account(&self.number) {
            account.signal.forget_all();
        }
        state.store_sessions(&self.number);
    }
}

/// Sets a new salt, publishes the salt as a setting, and tells the devices to fetch it.
fn publish_salt(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
) -> Result<(), PhoneError> {
    let account = state.account(number)?;
    let salt = rand::random::<[u8; 32]>().to_vec();
    let value = SyncActionValue {
        timestamp: i64::try_from(clock::millis()).ok(),
        nct_salt_sync_action: MessageField::some(NctSaltSyncAction { salt: Some(salt.clone()) }),
        ..Default::default()
    };
    let version = account
        .app_state
        .publish(SALT_COLLECTION, &[SALT_INDEX], &value)
        .ok_or_else(|| PhoneError::Internal("the settings are full".into()))?;
    account.settings.nct_salt = Some(Base64Text(salt));
    for id in account.devices.keys().copied().collect::<Vec<_>>() {
        let collection = NodeBuilder::new("collection")
            .attr("name", SALT_COLLECTION)
            .attr("version", version)
            .build();
        let notification = NodeBuilder::new("notification")
            .attr("from", stanza::SERVER)
            .attr("type", "server_sync")
            .attr("id", network.next_id("n"))
            .attr("t", clock::seconds())
            .children([collection])
            .build();
        let queued = stanzas::queued(StanzaClass::Notification, "", notification);
        delivery::enqueue(network, state, (number, id), queued);
    }
    Ok(())
}

//! The state of the network: the phones, and the clients that wait to be linked. One lock guards
//! the state; no slow operation runs under the lock.

use crate::account::{Account, Description, Device};
use crate::address;
use crate::error::PhoneError;
use crate::journal::{Journal, Record};
use crate::keys::Key;
use crate::login_refusal::Version;
use crate::socket::Socket;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Ids of messages that are remembered; older ones are forgotten.
const MAX_ROUTED: usize = 200_000;

/// The phones and the unlinked clients.
#[derive(Default)]
pub(crate) struct NetworkState {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// The numbers by LID, and by other spellings.
    lids: HashMap<String, String>,
    aliases: HashMap<String, String>,
    pub(crate) routed: RoutedMessages,
    pub(crate) journal: Journal,
    /// The unlinked clients by the id of their connection.
    pub(crate) unlinked_clients: HashMap<u64, UnlinkedClient>,
}

/// A message by the number of its sender, the number of its recipient, and its id.
pub(crate) type MessageName = (String, String, String);

/// The messages that were routed. The server delivers a message with the same name once.
#[derive(Debug, Default)]
pub(crate) struct RoutedMessages {
    /// Whether the network delivers repeated messages again, contrary to WhatsApp.
    pub(crate) repeats_allowed: bool,
    names: HashSet<MessageName>,
    order: VecDeque<MessageName>,
}

impl RoutedMessages {
    /// Remembers a message. Returns whether the message is new.
    pub(crate) fn remember(&mut self, name: MessageName) -> bool {
        let new = self.names.insert(name.clone());
        if new {
            self.order.push_back(name);
        }
        if self.order.len() > MAX_ROUTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        new
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &MessageName> {
        self.order.iter()
    }
}

/// A connected client that is not linked yet.
pub(crate) struct UnlinkedClient {
    pub(crate) socket: Socket,
    pub(crate) noise: Key,
    pub(crate) description: Description,
    pub(crate) version: Version,
    /// The references of its QR codes with their expiry.
    pub(crate) refs: Vec<(String, Instant)>,
    pub(crate) code: Option<CodeRequest>,
    pub(crate) linking: Option<PendingLink>,
}

/// A client's request to be linked by a code.
pub(crate) struct CodeRequest {
    pub(crate) number: String,
    pub(crate) reference: Vec<u8>,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) asked: Instant,
    pub(crate) ends: Instant,
    /// The phone that waits for the client's last message.
    pub(crate) finish: Option<oneshot::Sender<CodeFinish>>,
}

/// The client's last message of linking by code.
pub(crate) struct CodeFinish {
    pub(crate) bundle: Vec<u8>,
    pub(crate) identity: Key,
}

/// A link that the phone has approved and the client has not signed yet.
pub(crate) struct PendingLink {
    /// The id of the stanza that the client must answer.
    pub(crate) order: String,
    pub(crate) number: String,
    pub(crate) device: u32,
    pub(crate) identity: Key,
    pub(crate) details: Vec<u8>,
    pub(crate) done: oneshot::Sender<Result<u32, PhoneError>>,
}

impl NetworkState {
    pub(crate) fn account(&mut self, number: &str) -> Result<&mut Account, PhoneError> {
        self.accounts.get_mut(number).ok_or(PhoneError::NoSuchPhone)
    }

    pub(crate) fn device(&mut self, number: &str, id: u32) -> Result<&mut Device, PhoneError> {
        self.account(number)?.devices.get_mut(&id).ok_or(PhoneError::NoSuchDevice)
    }

    /// Adds an account to the directory.
    pub(crate) fn add_account(&mut self, account: Account) {
        self.lids.insert(account.lid.clone(), account.number.clone());
        for alias in &account.settings.aliases {
            self.aliases.insert(alias.clone(), account.number.clone());
        }
        self.accounts.insert(account.number.clone(), account);
    }

    /// Replaces the other spellings of a number.
    ///
    /// # Errors
    /// Fails when a spelling is another account's number or spelling.
    pub(crate) fn set_aliases(
        &mut self,
        number: &str,
        aliases: BTreeSet<String>,
    ) -> Result<(), PhoneError> {
        let is_free = |alias: &String| {
            !self.accounts.contains_key(alias)
                && self.aliases.get(alias).is_none_or(|owner| owner == number)
        };
        if !aliases.iter().all(is_free) {
            return Err(PhoneError::AliasTaken);
        }
        self.aliases.retain(|_, owner| owner != number);
        for alias in &aliases {
            self.aliases.insert(alias.clone(), number.to_owned());
        }
        self.account(number)?.settings.aliases = aliases;
        Ok(())
    }

    /// Returns the number of the account with this phone number or LID.
    pub(crate) fn number_of(&self, user: &str) -> Option<&str> {
        if let Some((number, _)) = self.accounts.get_key_value(user) {
            return Some(number);
        }
        self.lids.get(user).map(String::as_str)
    }

    /// Returns the number of the account with this phone number, in any spelling, or LID.
    pub(crate) fn number_of_contact(&self, user: &str) -> Option<&str> {
        self.number_of(user).or_else(|| self.aliases.get(user).map(String::as_str))
    }

    /// Returns the number of the account that a person means by an address or a number.
    ///
    /// # Errors
    /// Fails when no account fits.
    pub(crate) fn contact(&self, to: &str) -> Result<String, PhoneError> {
        let number = self.number_of_contact(address::user(to));
        number.map(str::to_owned).ok_or(PhoneError::NoSuchContact)
    }

    /// Returns the account with this phone number or LID.
    pub(crate) fn account_of(&mut self, user: &str) -> Option<&mut Account> {
        let number = self.number_of(user)?.to_owned();
        self.accounts.get_mut(&number)
    }

    /// Writes the changed Signal sessions of a phone to the journal.
    pub(crate) fn store_sessions(&mut self, number: &str) {
        let Some(account) = self.accounts.get_mut(number) else { return };
        if !self.journal.is_open() {
            return account.signal.forget_changes();
        }
        for (peer, session) in account.signal.take_changed() {
            self.journal.write(&Record::session(number, &peer, session));
        }
    }

    /// Returns the device that logs in with this key.
    pub(crate) fn device_by_noise(&self, noise: &Key) -> Option<(String, u32)> {
        self.accounts.values().find_map(|account| {
            let device = account.devices.values().find(|device| device.noise == *noise)?;
            Some((account.number.clone(), device.id))
        })
    }

    /// Returns the client that shows this reference, unless the reference has expired.
    pub(crate) fn client_by_ref(&mut self, reference: &str) -> Option<&mut UnlinkedClient> {
        let now = Instant::now();
        self.unlinked_clients
            .values_mut()
            .find(|c| c.refs.iter().any(|(shown, ends)| shown == reference && *ends > now))
    }

    /// Returns the client with the newest valid code request for this number.
    pub(crate) fn client_by_code(&mut self, number: &str) -> Option<&mut UnlinkedClient> {
        let now = Instant::now();
        self.unlinked_clients
            .values_mut()
            .filter(|c| {
                c.code.as_ref().is_some_and(|code| code.number == number && code.ends > now)
            })
            .max_by_key(|c| c.code.as_ref().map(|code| code.asked))
    }
}

//! The state of the network: the phones, and the clients that wait to be linked. One lock guards
//! the state; no slow operation runs under the lock.

use crate::account::{Account, Description, Device};
use crate::error::PhoneError;
use crate::keys::Key;
use crate::login_refusal::Version;
use crate::socket::Socket;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The phones and the unlinked clients.
#[derive(Default)]
pub(crate) struct NetworkState {
    pub(crate) accounts: BTreeMap<String, Account>,
    /// The unlinked clients by the id of their connection.
    pub(crate) unlinked_clients: HashMap<u64, UnlinkedClient>,
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

    /// Returns the account with this phone number or LID.
    pub(crate) fn account_of(&mut self, user: &str) -> Option<&mut Account> {
        if self.accounts.contains_key(user) {
            return self.accounts.get_mut(user);
        }
        self.accounts.values_mut().find(|account| account.has_address(user))
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

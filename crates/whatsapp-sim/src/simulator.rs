//! A running network: its chat socket, its root of trust, and its phones.

use crate::account::Account;
use crate::certificate::{CertificateKeys, Credentials};
use crate::config::Config;
use crate::error::{PhoneError, StartError};
use crate::faults::Faults;
use crate::journal::replay;
use crate::messaging::{delivery, placeholder};
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::phone::Phone;
use crate::server;
use crate::state_file::{self, StateFile};
use crate::wire_log::DeviceWire;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;
use wacore::libsignal::protocol::CurveError;

/// A simulated WhatsApp network on loopback. Dropping the value stops it.
pub struct Simulator {
    network: Arc<Network>,
    address: SocketAddr,
    saver: Mutex<Option<JoinHandle<()>>>,
    _stop: DropGuard,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Generates or loads the keys and starts to listen.
    ///
    /// # Errors
    /// Fails when the address is not on loopback or is in use, and when the state file cannot be
    /// used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listener = bind(config.listen).await?;
        let address =
            listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
        let (credentials, mut state) = load_state(&config)?;
        if let Some(path) = &config.state {
            let opened = replay::open(&mut state, &replay::path(path));
            opened.map_err(|error| StartError::State(path.clone(), error))?;
        }
        let network = Arc::new(Network::new(config, credentials, state));
        placeholder::receive_all(&network);
        // Before the first save, so that no change after it is missed.
        let changes = network.saves.subscribe();
        if let Some(path) = &network.config.state {
            let written = state_file::save(&network, path).await;
            written.map_err(|error| StartError::State(path.clone(), error.to_string()))?;
        }
        tokio::spawn(server::accept_connections(Arc::clone(&network), listener));
        let saver = network.config.state.clone().map(|path| {
            tokio::spawn(state_file::save_on_change(Arc::clone(&network), changes, path))
        });
        let stop = network.stopping.clone().drop_guard();
        Ok(Self { network, address, saver: Mutex::new(saver), _stop: stop })
    }

    /// Closes all connections. With a state file, waits until the state is saved.
    pub async fn stop(&self) {
        self.network.stopping.cancel();
        let saver = self.saver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(saver) = saver {
            let _ = saver.await;
        }
    }

    /// Returns the URL for clients.
    pub fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }

    /// Returns the address of the chat socket.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the public key of the root, which clients must trust.
    pub fn trust_anchor(&self) -> [u8; 32] {
        self.network.credentials.anchor
    }

    /// Adds a phone; repeating number and name returns the same phone.
    ///
    /// # Errors
    /// Fails when the number or the name is invalid, when the number has another name, and at the
    /// maximum number of phones.
    pub fn add_phone(&self, number: &str, name: &str) -> Result<Phone, PhoneError> {
        self.insert_phone(number, name).map(|(phone, _)| phone)
    }

    /// Adds a phone like [`add_phone`](Self::add_phone), and returns whether the phone is new.
    ///
    /// # Errors
    /// Fails like [`add_phone`](Self::add_phone).
    pub fn insert_phone(&self, number: &str, name: &str) -> Result<(Phone, bool), PhoneError> {
        if !(7..=15).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PhoneError::BadNumber);
        }
        if !(1..=100).contains(&name.chars().count()) {
            return Err(PhoneError::BadName);
        }
        let phone = Phone::new(Arc::clone(&self.network), number.to_owned());
        let mut state = self.network.state();
        match state.accounts.get(number) {
            Some(account) if account.name == name => return Ok((phone, false)),
            Some(_) => return Err(PhoneError::PhoneExists),
            None if state.number_of_contact(number).is_some() => {
                return Err(PhoneError::AliasTaken);
            }
            None if state.accounts.len() >= self.network.config.max_phones => {
                return Err(PhoneError::TooManyPhones);
            }
            None => {}
        }
        let account =
            Account::new(number, name).map_err(|e| PhoneError::Internal(e.to_string()))?;
        state.add_account(account);
        drop(state);
        self.network.changed();
        Ok((phone, true))
    }

    /// Returns the phone with this number.
    ///
    /// # Errors
    /// Fails when no phone has the number.
    pub fn phone(&self, number: &str) -> Result<Phone, PhoneError> {
        self.network.state().account(number)?;
        Ok(Phone::new(Arc::clone(&self.network), number.to_owned()))
    }

    /// Removes a fault; all faults for `None`. Stanzas that a silence held back are sent. Returns
    /// whether a fault was removed.
    pub fn remove_fault(&self, id: Option<u64>) -> bool {
        let removed = self.network.faults.remove(id);
        delivery::pump_all(&self.network);
        removed
    }

    /// Sets whether the network delivers a message with a repeated sender, recipient and id only
    /// once, as WhatsApp does. The default is `true`.
    pub fn set_deduplication(&self, on: bool) {
        self.network.state().routed.repeats_allowed = !on;
    }

    /// Returns whether repeated messages are delivered only once.
    pub fn deduplicates(&self) -> bool {
        !self.network.state().routed.repeats_allowed
    }

    /// Returns the number of the account that an address or a number means, in any spelling.
    pub fn number_of(&self, contact: &str) -> Option<String> {
        self.network.state().contact(contact).ok()
    }

    /// Returns the stanzas between the server and a device.
    pub fn wire(&self, number: &str, device: u32) -> DeviceWire {
        self.network.wire.of(&format!("{number}:{device}"))
    }

    /// Forgets the stanzas of all devices.
    pub fn clear_wire(&self) {
        self.network.wire.clear();
    }

    /// Returns the fault injection of the network.
    pub fn faults(&self) -> &Faults {
        &self.network.faults
    }

    /// Waits up to `limit` until `is_so` holds. Returns whether it holds.
    pub async fn wait_for(&self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        self.network.wait_for(limit, || is_so(self)).await
    }

    /// Returns the number of connected clients that are not linked.
    pub fn unlinked_client_count(&self) -> usize {
        self.network.state().unlinked_clients.len()
    }
}

/// Loads the state file and the seed; generates new keys without either.
fn load_state(config: &Config) -> Result<(Credentials, NetworkState), StartError> {
    let failed = |error: CurveError| StartError::Keys(error.to_string());
    let state_file = match &config.state {
        Some(path) => {
            StateFile::read(path).map_err(|error| StartError::State(path.clone(), error))?
        }
        None => None,
    };
    let keys = match (&config.trust_anchor_seed, &state_file) {
        (None, Some(state_file)) => state_file.keys.clone(),
        (seed, _) => CertificateKeys::make(seed.as_deref()).map_err(failed)?,
    };
    let state = state_file
        .map(StateFile::into_network_state)
        .transpose()
        .map_err(failed)?
        .unwrap_or_default();
    Ok((Credentials::make(keys).map_err(failed)?, state))
}

/// Listens on a loopback address; rejects any other.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

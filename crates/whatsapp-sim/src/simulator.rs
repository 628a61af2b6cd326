//! A running network: its socket, its root of trust, and its phones.

use crate::account::Account;
use crate::certificate::Credentials;
use crate::config::Config;
use crate::error::{PhoneError, StartError};
use crate::faults::Faults;
use crate::network::Network;
use crate::phone::Phone;
use crate::server;
use crate::world::World;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

/// A simulated WhatsApp network on loopback. It stops when dropped.
pub struct Simulator {
    network: Arc<Network>,
    address: SocketAddr,
    _stop: DropGuard,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Makes the keys and begins to listen.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listener = bind(config.listen).await?;
        let address =
            listener.local_addr().map_err(|error| StartError::Listen(config.listen, error))?;
        let credentials = Credentials::make(config.trust_anchor_seed.as_deref())
            .map_err(|e| StartError::Keys(e.to_string()))?;
        let network = Arc::new(Network::new(config, credentials, World::default()));
        tokio::spawn(server::listen(Arc::clone(&network), listener));
        let stop = network.stopping.clone().drop_guard();
        Ok(Self { network, address, _stop: stop })
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}/ws/chat", self.address)
    }

    /// The socket's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The public key of the root that vouches for the server.
    pub fn trust_anchor(&self) -> [u8; 32] {
        self.network.credentials.anchor
    }

    /// Adds a phone. The same number and name again is the same phone.
    pub fn add_phone(&self, number: &str, name: &str) -> Result<Phone, PhoneError> {
        self.insert_phone(number, name).map(|(phone, _)| phone)
    }

    /// As [`add_phone`](Self::add_phone), and says whether the phone is new.
    pub fn insert_phone(&self, number: &str, name: &str) -> Result<(Phone, bool), PhoneError> {
        if !(7..=15).contains(&number.len()) || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PhoneError::BadNumber);
        }
        if !(1..=100).contains(&name.chars().count()) {
            return Err(PhoneError::BadName);
        }
        let phone = Phone::new(Arc::clone(&self.network), number.to_owned());
        let mut world = self.network.world();
        match world.accounts.get(number) {
            Some(account) if account.name == name => return Ok((phone, false)),
            Some(_) => return Err(PhoneError::PhoneExists),
            None if world.accounts.len() >= self.network.config.max_phones => {
                return Err(PhoneError::TooManyPhones);
            }
            None => {}
        }
        let account =
            Account::new(number, name).map_err(|e| PhoneError::Broken(e.to_string()))?;
        world.accounts.insert(number.to_owned(), account);
        drop(world);
        self.network.changed();
        Ok((phone, true))
    }

    /// The phone of a number.
    pub fn phone(&self, number: &str) -> Result<Phone, PhoneError> {
        self.network.world().account(number)?;
        Ok(Phone::new(Arc::clone(&self.network), number.to_owned()))
    }

    /// What can be made to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.network.faults
    }

    /// How many clients wait to be linked.
    pub fn waiting_clients(&self) -> usize {
        self.network.world().candidates.len()
    }
}

/// Listens on loopback and nowhere else.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

//! The state file, from which the next simulator starts as the same network: phones and devices.
//! Messages and Signal sessions are in the journal beside it.

use crate::account::{Account, AccountSettings, Description, Device};
use crate::app_state::AppState;
use crate::certificate::CertificateKeys;
use crate::encoding::Base64Text;
use crate::keys::{self, Key};
use crate::login_refusal::{LoginRefusal, Version};
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::prekeys::UploadedKeys;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use wacore::libsignal::protocol::CurveError;

/// The content of the file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateFile {
    pub(crate) keys: CertificateKeys,
    phones: Vec<PhoneRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PhoneRecord {
    number: String,
    lid: String,
    name: String,
    private_key: Base64Text<Vec<u8>>,
    raw_id: u32,
    hosted: bool,
    last_device: u32,
    app_state: AppState,
    settings: AccountSettings,
    devices: Vec<DeviceRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeviceRecord {
    id: u32,
    noise: Base64Text<Key>,
    identity: Base64Text<Key>,
    description: Description,
    linked_at: u64,
    bundle: Option<UploadedKeys>,
    approval: Base64Text<Vec<u8>>,
    greeted: bool,
    refusal: Option<LoginRefusal>,
    version: Version,
}

impl StateFile {
    /// Reads a file; `None` if it does not exist.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, String> {
        match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| e.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Returns the stored network state, with all devices disconnected.
    pub(crate) fn into_network_state(self) -> Result<NetworkState, CurveError> {
        let mut state = NetworkState::default();
        for phone in self.phones {
            let account = phone.account()?;
            state.add_account(account);
        }
        Ok(state)
    }

    fn from_state(network: &Network) -> Self {
        let state = network.state();
        let phones = state.accounts.values().map(PhoneRecord::from_state).collect();
        Self { keys: network.credentials.keys.clone(), phones }
    }

    /// Replaces the file atomically.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        let draft = PathBuf::from(draft);
        std::fs::write(&draft, serde_json::to_vec(self)?)?;
        std::fs::rename(&draft, path)
    }
}

impl PhoneRecord {
    fn from_state(account: &Account) -> Self {
        Self {
            number: account.number.clone(),
            lid: account.lid.clone(),
            name: account.name.clone(),
            private_key: Base64Text(account.keys.private_key.serialize().to_vec()),
            raw_id: account.raw_id,
            hosted: account.hosted,
            last_device: account.last_device,
            app_state: account.app_state.clone(),
            settings: account.settings.clone(),
            devices: account.devices.values().map(DeviceRecord::from_state).collect(),
        }
    }

    fn account(self) -> Result<Account, CurveError> {
        let keys = keys::pair(&self.private_key.0)?;
        let mut account = Account::restore(&self.number, &self.lid, &self.name, keys, self.raw_id)?;
        account.hosted = self.hosted;
        account.last_device = self.last_device;
        account.app_state = self.app_state;
        account.settings = self.settings;
        account.devices = self.devices.into_iter().map(|d| (d.id, d.device())).collect();
        Ok(account)
    }
}

impl DeviceRecord {
    fn from_state(device: &Device) -> Self {
        Self {
            id: device.id,
            noise: Base64Text(device.noise),
            identity: Base64Text(device.identity),
            description: device.description.clone(),
            linked_at: device.linked_at,
            bundle: device.bundle.clone(),
            approval: Base64Text(device.approval.clone()),
            greeted: device.greeted,
            refusal: device.refusal.clone(),
            version: device.version,
        }
    }

    fn device(self) -> Device {
        Device {
            linked_at: self.linked_at,
            bundle: self.bundle,
            approval: self.approval.0,
            greeted: self.greeted,
            refusal: self.refusal,
            version: self.version,
            ..Device::new(self.id, self.noise.0, self.identity.0, self.description)
        }
    }
}

/// Writes the file after every change of phones and devices, and once more at the end.
pub(crate) async fn save_on_change(
    network: Arc<Network>,
    mut saves: watch::Receiver<u64>,
    path: PathBuf,
) {
    loop {
        tokio::select! {
            _ = saves.changed() => {}
            () = network.stopping.cancelled() => {}
        }
        let stopping = network.stopping.is_cancelled();
        if let Err(error) = save(&network, &path).await {
            tracing::error!(%error, path = %path.display(), "cannot save the state");
        }
        if stopping {
            return;
        }
    }
}

/// Writes the file with the current state.
pub(crate) async fn save(network: &Network, path: &Path) -> std::io::Result<()> {
    let (state_file, path) = (StateFile::from_state(network), path.to_owned());
    tokio::task::spawn_blocking(move || state_file.write(&path)).await?
}

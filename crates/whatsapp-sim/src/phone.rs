//! A simulated phone: scans QR codes, takes pairing codes, lists and removes linked devices, and
//! kicks devices. Its messages are in a submodule.

mod messages;
mod settings;

pub use settings::{PhoneChanges, PhoneState};

use crate::account::LinkedDevice;
use crate::error::PhoneError;
use crate::kick::Kick;
use crate::link_code;
use crate::network::Network;
use crate::registration::{self, Outcome};
use crate::unlink;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// A simulated phone. Clones are the same phone.
#[derive(Clone)]
pub struct Phone {
    network: Arc<Network>,
    number: String,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Phone {
    pub(crate) fn new(network: Arc<Network>, number: String) -> Self {
        Self { network, number }
    }

    /// Returns the phone number, digits only.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Returns the LID (hidden id), without the server part.
    pub fn lid(&self) -> String {
        let mut state = self.network.state();
        state.account(&self.number).map(|account| account.lid.clone()).unwrap_or_default()
    }

    /// Returns the push name.
    pub fn name(&self) -> String {
        let mut state = self.network.state();
        state.account(&self.number).map(|account| account.name.clone()).unwrap_or_default()
    }

    /// Scans a QR code, bare or in its link, and approves the client. Returns when the client has
    /// signed.
    ///
    /// # Errors
    /// Fails when the code is invalid or expired, and when the client refuses or does not answer.
    pub async fn scan(&self, qr: &str) -> Result<LinkedDevice, PhoneError> {
        let outcome = registration::scan(&self.network, &self.number, qr)?;
        self.linked(outcome).await
    }

    /// Enters a pairing code, with or without its dash, and approves the client. Returns when the
    /// client has signed.
    ///
    /// # Errors
    /// Fails when the code is wrong or not requested, and when the client refuses or does not
    /// answer.
    pub async fn enter_code(&self, code: &str) -> Result<LinkedDevice, PhoneError> {
        let code = link_code::normalize(code)?;
        self.network.state().account(&self.number)?;
        self.wait_for(self.network.config.code_request_timeout, Self::is_code_awaited).await;
        let outcome = link_code::enter(&self.network, &self.number, code).await?;
        self.linked(outcome).await
    }

    async fn linked(&self, outcome: Outcome) -> Result<LinkedDevice, PhoneError> {
        let answered = timeout(self.network.config.companion_timeout, outcome).await;
        let id = answered
            .map_err(|_| PhoneError::ClientTimeout)?
            .map_err(|_| PhoneError::ClientTimeout)??;
        self.devices().into_iter().find(|device| device.id == id).ok_or(PhoneError::NoSuchDevice)
    }

    /// Returns whether a client waits for a pairing code for this number.
    pub fn is_code_awaited(&self) -> bool {
        self.network.state().client_by_code(&self.number).is_some()
    }

    /// Returns the linked devices.
    pub fn devices(&self) -> Vec<LinkedDevice> {
        let mut state = self.network.state();
        state.account(&self.number).map(|account| account.linked_devices()).unwrap_or_default()
    }

    /// Removes a linked device. A connected device is told at once, another one at its next login.
    ///
    /// # Errors
    /// Fails when the phone has no such device.
    pub fn unlink(&self, id: u32) -> Result<(), PhoneError> {
        unlink::on_phone(&self.network, &self.number, id)
    }

    /// Disconnects a device; see [`Kick`] for the immediate and the later effects.
    ///
    /// # Errors
    /// Fails when the phone has no such device, or when the device is not connected and the kick
    /// needs a connection.
    pub fn kick(&self, id: u32, kick: Kick) -> Result<(), PhoneError> {
        let config = &self.network.config;
        let mut state = self.network.state();
        let device = state.device(&self.number, id)?;
        if device.connection.is_none() && !kick.has_lasting_effect() {
            return Err(PhoneError::NotConnected);
        }
        if let Some(refusal) = kick.login_refusal(device, config.ban, config.unavailable_logins) {
            device.refusal = Some(refusal);
        }
        let connection = device.connection.take();
        drop(state);
        if let Some(connection) = connection {
            match kick.final_stanza() {
                Some(node) => connection.socket.send_and_close(node),
                None => connection.socket.close(),
            }
        }
        tracing::info!(number = self.number, device = id, ?kick, "kicked");
        self.network.changed();
        Ok(())
    }

    /// Removes the login refusal of a kick, so that the next login succeeds.
    ///
    /// # Errors
    /// Fails when the phone has no such device.
    pub fn clear_login_refusal(&self, id: u32) -> Result<(), PhoneError> {
        self.network.state().device(&self.number, id)?.refusal = None;
        Ok(())
    }

    /// Makes the account a hosted one, or an ordinary one again. Some clients cannot link to hosted
    /// accounts.
    pub fn set_hosted(&self, hosted: bool) {
        if let Ok(account) = self.network.state().account(&self.number) {
            account.hosted = hosted;
        }
    }

    /// Waits up to `limit` until `is_so` holds. Returns whether it holds.
    pub async fn wait_for(&self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        self.network.wait_for(limit, || is_so(self)).await
    }

    /// Waits until the phone has exactly `count` devices and all are connected. Returns whether
    /// that is so within `limit`.
    pub async fn wait_connected(&self, count: usize, limit: Duration) -> bool {
        self.wait_for(limit, |phone| {
            let devices = phone.devices();
            devices.len() == count && devices.iter().all(|device| device.connected)
        })
        .await
    }

    /// Waits until the phone has no device. Returns whether that is so within `limit`.
    pub async fn wait_unlinked(&self, limit: Duration) -> bool {
        self.wait_for(limit, |phone| phone.devices().is_empty()).await
    }
}

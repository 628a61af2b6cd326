//! The login of a linked device: accepted, refused, or replacing an older connection of the device.

use crate::account::DeviceConnection;
use crate::clock;
use crate::keys::Key;
use crate::login_refusal;
use crate::network::Network;
use crate::registration;
use crate::socket::Socket;
use crate::stanza;
use std::collections::BTreeSet;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;

/// The logged-in device of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggedInDevice {
    pub(crate) number: String,
    pub(crate) device: u32,
}

/// Logs a device in, or refuses and closes the connection.
pub(crate) fn log_in(
    network: &Network,
    socket: &Socket,
    noise: &Key,
    payload: &ClientPayload,
) -> Option<LoggedInDevice> {
    let mut state = network.state();
    let login =
        state.device_by_noise(noise).map(|(number, device)| LoggedInDevice { number, device });
    let login = login.filter(|login| {
        payload.username.is_some_and(|user| user.to_string() == login.number)
            && payload.device.unwrap_or(0) == login.device
    });
    let Some(login) = login else {
        socket.send_and_close(unknown_device());
        return None;
    };
    let account = state.accounts.get_mut(&login.number)?;
    let lid = account.lid_jid(login.device);
    let device = account.devices.get_mut(&login.device)?;
    let version = registration::version(payload);
    if let Some(failure) = login_refusal::check_login(&mut device.refusal, version) {
        drop(state);
        network.changed();
        socket.send_and_close(failure);
        return None;
    }
    device.version = version;
    device.queue.reset();
    let connection = DeviceConnection {
        socket: socket.clone(),
        active: false,
        available: false,
        subscriptions: BTreeSet::new(),
    };
    if let Some(old) = device.connection.replace(connection) {
        old.socket.send_and_close(stanza::replaced());
    }
    socket.set_device(&login.number, login.device);
    // Sent under the lock, so that all other stanzas to this device follow.
    socket.send(success(&lid));
    drop(state);
    network.changed();
    Some(login)
}

fn unknown_device() -> Node {
    NodeBuilder::new("failure").attr("reason", "401").attr("location", stanza::LOCATION).build()
}

fn success(lid: &str) -> Node {
    NodeBuilder::new("success")
        .attr("t", clock::seconds())
        .attr("props", "27")
        .attr("location", stanza::LOCATION)
        .attr("lid", lid)
        .build()
}

/// Removes the unlinked client, or marks the device as disconnected.
pub(crate) fn on_connection_closed(
    network: &Network,
    socket: &Socket,
    login: Option<&LoggedInDevice>,
) {
    let mut state = network.state();
    state.unlinked_clients.remove(&socket.id);
    if let Some(login) = login
        && let Ok(device) = state.device(&login.number, login.device)
    {
        device.connection.take_if(|connection| connection.socket.id == socket.id);
    }
    drop(state);
    network.changed();
}

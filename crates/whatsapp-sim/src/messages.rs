//! Messages to devices, kept until confirmed and sent again until then; and messages from devices.

use crate::account::{Account, QueuedMessage};
use crate::clock;
use crate::initial_sync;
use crate::login::LoggedInDevice;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::socket::Socket;
use crate::stanza::{self, attribute, content, parent};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::whatsapp::Message;

/// Retries that a device may request for one message.
const MAX_RETRIES: u32 = 5;

/// Sends all unconfirmed messages to a device that is connected, active and has uploaded keys.
/// Returns their number.
pub(crate) fn deliver(account: &mut Account, id: u32) -> usize {
    let Account { number, name, signal, devices, .. } = account;
    let Some(device) = devices.get_mut(&id) else { return 0 };
    let (Some(connection), Some(bundle)) = (&device.connection, &mut device.bundle) else {
        return 0;
    };
    if !connection.active {
        return 0;
    }
    let mut sent = 0;
    for queued in device.queued_messages.iter_mut().filter(|queued| !queued.delivered) {
        if queued.encrypted.is_none() {
            match signal.seal((number, id), bundle, &queued.message) {
                Ok(sealed) => queued.encrypted = Some(sealed),
                Err(error) => tracing::warn!(%error, "cannot encrypt a message"),
            }
        }
        if let Some(sealed) = &queued.encrypted {
            connection.socket.send(message_stanza(queued, sealed.clone(), number, name));
            sent += 1;
        }
    }
    sent
}

fn message_stanza(queued: &QueuedMessage, encrypted: Node, number: &str, name: &str) -> Node {
    let mut node = NodeBuilder::new("message")
        .attr("from", format!("{number}@s.whatsapp.net"))
        .attr("id", queued.id.as_str())
        .attr("t", clock::seconds())
        .attr("type", "text")
        .attr("notify", name);
    if let Some(category) = queued.category {
        node = node.attr("category", category);
    }
    node.children([encrypted]).build()
}

/// Handles a device that becomes active: sends its queued messages and their number.
pub(crate) fn activate(network: &Network, socket: &Socket, login: &LoggedInDevice) {
    let mut state = network.state();
    let Ok(account) = state.account(&login.number) else { return };
    let Some(connection) =
        account.devices.get_mut(&login.device).and_then(|d| d.connection.as_mut())
    else {
        return;
    };
    if connection.socket.id != socket.id {
        return;
    }
    connection.active = true;
    if account.devices.get(&login.device).is_some_and(|device| device.bundle.is_some()) {
        initial_sync::send_initial_sync(network, account, login.device);
    }
    let count = deliver(account, login.device);
    let offline = NodeBuilder::new("offline").attr("count", count).build();
    socket.send(NodeBuilder::new("ib").attr("from", stanza::SERVER).children([offline]).build());
}

/// Handles a receipt or an acknowledgement: marks the messages as delivered, or encrypts them again
/// for a retry.
pub(crate) fn on_receipt(network: &Network, login: &LoggedInDevice, node: &NodeRef<'_>) {
    let mut ids = vec![attribute(node, "id")];
    if let Some(list) = node.get_optional_child("list").and_then(|list| list.children()) {
        ids.extend(list.iter().map(|item| attribute(item, "id")));
    }
    let mut state = network.state();
    let Ok(account) = state.account(&login.number) else { return };
    let Some(device) = account.devices.get_mut(&login.device) else { return };
    if attribute(node, "type") == "retry" {
        for queued in device.queued_messages.iter_mut().filter(|queued| ids.contains(&queued.id)) {
            queued.attempts += 1;
            queued.encrypted = None;
            queued.delivered = false;
        }
        device.queued_messages.retain(|queued| queued.attempts < MAX_RETRIES);
        account.signal.forget(&login.number, login.device);
        deliver(account, login.device);
    } else {
        for queued in device.queued_messages.iter_mut().filter(|queued| ids.contains(&queued.id)) {
            queued.delivered = true;
        }
    }
}

/// Handles a message of a device: the phones among its recipients decrypt it. Copies for linked
/// devices are not forwarded.
pub(crate) fn on_message(network: &Network, login: &LoggedInDevice, node: &NodeRef<'_>) {
    let to = attribute(node, "to");
    let copies: Vec<(String, &NodeRef<'_>)> = match node.get_optional_child("participants") {
        Some(list) => list
            .children()
            .unwrap_or_default()
            .iter()
            .filter_map(|copy| Some((attribute(copy, "jid"), copy.get_optional_child("enc")?)))
            .collect(),
        None => node.get_optional_child("enc").map(|enc| (to, enc)).into_iter().collect(),
    };
    let mut state = network.state();
    for (jid, enc) in copies {
        if stanza::device(&jid) == 0 {
            decrypt_for_phone(&mut state, login, stanza::user(&jid), enc);
        }
    }
    drop(state);
    network.changed();
}

fn decrypt_for_phone(
    state: &mut NetworkState,
    login: &LoggedInDevice,
    user: &str,
    enc: &NodeRef<'_>,
) {
    let Some(account) = state.account_of(user) else { return };
    let sealed = content(enc).unwrap_or_default();
    let sender = (login.number.as_str(), login.device);
    match account.signal.open(sender, &attribute(enc, "type"), &sealed) {
        Ok(message) => {
            if let Some(text) = text(&message) {
                account.store_text(text);
            }
        }
        Err(error) => tracing::debug!(%error, "a phone cannot decrypt a message"),
    }
}

fn text(message: &Message) -> Option<String> {
    let extended = message.extended_text_message.as_option().and_then(|e| e.text.clone());
    message.conversation.clone().or(extended)
}

/// Returns an empty list of groups; the simulator has no groups.
pub(crate) fn no_groups() -> Node {
    parent("groups", [])
}

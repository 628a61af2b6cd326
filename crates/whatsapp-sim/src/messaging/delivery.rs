//! Queues stanzas for devices and sends them: at once to an active device, and as a backlog to a
//! device that becomes active.

use crate::account::UnsealedCopy;
use crate::address;
use crate::journal::Record;
use crate::login::LoggedInDevice;
use crate::messaging::queue::{NextDelivery, QueuedStanza, StanzaClass};
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::signal;
use crate::socket::Socket;
use crate::stanza::{self, attribute};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeContent, NodeRef};

/// Queues a stanza for a device. A device that is gone gets nothing.
pub(crate) fn enqueue(
    network: &Network,
    state: &mut NetworkState,
    (number, id): (&str, u32),
    stanza: QueuedStanza,
) {
    let NetworkState { accounts, journal, .. } = state;
    let device = accounts.get_mut(number).and_then(|account| account.devices.get_mut(&id));
    let Some(device) = device else { return };
    if let Some(stanza) = device.queue.push(stanza) {
        journal.write(&Record::queued(number, id, stanza));
    } else {
        tracing::warn!(number, device = id, "queue full; a stanza is lost");
    }
    pump(network, state, number, id);
}

/// Encrypts a message of a phone for a device and queues the message. Without uploaded keys, the
/// message waits for the upload.
pub(crate) fn seal_and_enqueue(
    network: &Network,
    state: &mut NetworkState,
    (number, id): (&str, u32),
    copy: UnsealedCopy,
) {
    let Ok(device) = state.device(number, id) else { return };
    let Some(mut bundle) = device.bundle.take() else {
        device.awaiting_keys.push_back(copy);
        return;
    };
    let (peer, keys) = ((number.to_owned(), id), bundle.count());
    let sealed =
        state.account(&copy.from).map(|phone| phone.signal.seal(&peer, &mut bundle, &copy.padded));
    if bundle.count() != keys {
        network.changed();
    }
    if let Ok(device) = state.device(number, id) {
        device.bundle = Some(bundle);
    }
    let mut sealed = match sealed {
        Ok(Ok(sealed)) => sealed,
        Ok(Err(error)) => return tracing::warn!(%error, "cannot encrypt a message"),
        Err(_) => return,
    };
    state.store_sessions(&copy.from);
    if copy.garbled {
        signal::garble(sealed.kind, &mut sealed.bytes);
    }
    let UnsealedCopy { from, mut stanza, media, retry, .. } = copy;
    stanza.content = Some(NodeContent::Nodes(vec![stanzas::enc(sealed, media, retry)]));
    let queued = stanzas::queued(StanzaClass::Message, &from, stanza);
    enqueue(network, state, (number, id), queued);
}

/// Encrypts the messages that waited for the keys of a device.
pub(crate) fn on_keys_uploaded(network: &Network, state: &mut NetworkState, number: &str, id: u32) {
    let Ok(device) = state.device(number, id) else { return };
    for copy in std::mem::take(&mut device.awaiting_keys) {
        seal_and_enqueue(network, state, (number, id), copy);
    }
}

/// Sends queued stanzas to a device as far as its connection, its batches and the room of its
/// writer allow.
pub(crate) fn pump(network: &Network, state: &mut NetworkState, number: &str, id: u32) {
    let Ok(device) = state.device(number, id) else { return };
    let Some(connection) = device.connection.as_ref().filter(|connection| connection.active) else {
        return;
    };
    if network.faults.is_silent(number, id) {
        return;
    }
    while connection.socket.has_room() {
        match device.queue.next() {
            Some(NextDelivery::Stanza(node)) => connection.socket.send(node),
            Some(NextDelivery::End(count)) => {
                connection.socket.send(information(offline_end(count)));
            }
            None => return,
        }
    }
}

/// Sends queued stanzas to all devices.
pub(crate) fn pump_all(network: &Network) {
    let mut state = network.state();
    let devices: Vec<_> = state
        .accounts
        .values()
        .flat_map(|account| account.devices.keys().map(|id| (account.number.clone(), *id)))
        .collect();
    for (number, id) in devices {
        pump(network, &mut state, &number, id);
    }
}

/// Handles a device that becomes active: announces and sends its backlog.
pub(crate) fn activate(
    network: &Network,
    state: &mut NetworkState,
    socket: &Socket,
    login: &LoggedInDevice,
) {
    let Ok(device) = state.device(&login.number, login.device) else { return };
    let Some(connection) = &mut device.connection else { return };
    if connection.socket.id != socket.id || connection.active {
        return;
    }
    connection.active = true;
    let preview = device.queue.start_drain();
    let count = preview.messages + preview.receipts + preview.notifications;
    if count > 0 {
        let announced = NodeBuilder::new("offline_preview")
            .attr("count", count)
            .attr("message", preview.messages)
            .attr("receipt", preview.receipts)
            .attr("notification", preview.notifications)
            .attr("appdata", 0)
            .build();
        socket.send(information(announced));
    }
    pump(network, state, &login.number, login.device);
}

fn information(child: Node) -> Node {
    NodeBuilder::new("ib").attr("from", stanza::SERVER).children([child]).build()
}

fn offline_end(count: usize) -> Node {
    NodeBuilder::new("offline").attr("count", count).build()
}

/// Handles a device's request for further stanzas of its backlog.
pub(crate) fn on_batch_request(network: &Network, login: &LoggedInDevice, node: &NodeRef<'_>) {
    let Some(batch) = node.get_optional_child("offline_batch") else { return };
    let count = attribute(batch, "count").parse().unwrap_or(0);
    let mut state = network.state();
    if let Ok(device) = state.device(&login.number, login.device) {
        device.queue.grant(count);
    }
    pump(network, &mut state, &login.number, login.device);
}

/// Handles an acknowledgement of a device, with or without an error: the stanza leaves the queue.
pub(crate) fn on_acknowledgement(network: &Network, login: &LoggedInDevice, node: &NodeRef<'_>) {
    let Some(class) = StanzaClass::of(&attribute(node, "class")) else { return };
    let mut state = network.state();
    let kind = attribute(node, "type");
    confirm(
        network,
        &mut state,
        login,
        class,
        (&attribute(node, "to"), &kind),
        [attribute(node, "id")],
    );
    drop(state);
    network.messages_changed();
}

/// Removes confirmed stanzas from the queue of a device. `to` is the address of the stanzas' sender.
pub(crate) fn confirm(
    network: &Network,
    state: &mut NetworkState,
    login: &LoggedInDevice,
    class: StanzaClass,
    (to, kind): (&str, &str),
    ids: impl IntoIterator<Item = String>,
) {
    let LoggedInDevice { number, device: id } = login;
    let peer = state.number_of(address::user(to)).unwrap_or_default().to_owned();
    let NetworkState { accounts, journal, .. } = state;
    let device = accounts.get_mut(number).and_then(|account| account.devices.get_mut(id));
    let Some(device) = device else { return };
    for stanza in ids {
        if let Some(seq) = device.queue.confirm(class, &stanza, &peer, kind) {
            journal.write(&Record::confirmed(number, *id, seq));
        }
    }
    pump(network, state, number, *id);
}

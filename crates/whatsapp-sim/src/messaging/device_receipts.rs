//! Receipts of linked devices: they confirm queued messages, and are passed on to the sender.

use crate::address::Address;
use crate::faults::{Fault, FaultSubject, FaultTarget};
use crate::login::LoggedInDevice;
use crate::messaging::delivery;
use crate::messaging::outbox::{self, RetryRequest};
use crate::messaging::queue::StanzaClass;
use crate::messaging::receipts::{self, Receipt, ReceiptKind};
use crate::messaging::routing;
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::prekeys::PublishedKeys;
use crate::socket::Socket;
use crate::stanza::{self, attribute};
use std::sync::Arc;
use wacore_binary::{Node, NodeRef};

/// Handles a receipt of a device.
pub(crate) fn on_receipt(
    network: &Arc<Network>,
    socket: &Socket,
    login: &LoggedInDevice,
    node: &NodeRef<'_>,
) {
    let mut state = network.state();
    let to = Address::parse(&attribute(node, "to"));
    let recipient = to.as_ref().and_then(|to| state.number_of(&to.user)).map(str::to_owned);
    let (from, device) = (login.number.as_str(), login.device);
    let subject = FaultSubject { from, device, to: recipient.as_deref(), has_token: false };
    let fault = network.faults.take_for_stanza(&FaultTarget::Receipt, &subject);
    match fault {
        Some(Fault::Swallow) => return,
        Some(Fault::Refuse(code)) => return socket.send(stanza::nack(node, code)),
        _ => {}
    }
    routing::answer_with(socket, fault, stanza::acknowledgement(node));
    if let (Some(to), Some(recipient)) = (to, recipient) {
        process(network, &mut state, login, (&to, &recipient), node);
    }
    drop(state);
    network.messages_changed();
}

fn process(
    network: &Network,
    state: &mut NetworkState,
    login: &LoggedInDevice,
    (to, recipient): (&Address, &str),
    node: &NodeRef<'_>,
) {
    let kind = attribute(node, "type");
    if kind == "retry" {
        return on_retry(network, state, login, (to, recipient), node);
    }
    let ids = ids(node);
    // Only the first receipt of a message confirms the message; a later `read` finds nothing.
    let confirmed = (attribute(node, "to"), String::new());
    let confirmed = (confirmed.0.as_str(), confirmed.1.as_str());
    delivery::confirm(network, state, login, StanzaClass::Message, confirmed, ids.clone());
    let receipt = |kind| Receipt {
        from: (&login.number, login.device),
        to: recipient,
        addressing: to.addressing,
        ids: &ids,
        kind,
    };
    match (kind.as_str(), ReceiptKind::of(&kind)) {
        // To oneself: a copy of an own message has arrived.
        (_, Some(_)) if recipient == login.number => {}
        (_, Some(kind)) => {
            receipts::pass_on(network, state, &receipt(kind));
            let own = match kind {
                ReceiptKind::Read => "read-self",
                ReceiptKind::Played => "played-self",
                ReceiptKind::Delivered => return,
            };
            receipts::tell_own_devices(network, state, &receipt(kind), own);
        }
        ("read-self", None) => {
            receipts::tell_own_devices(network, state, &receipt(ReceiptKind::Read), "read-self");
        }
        ("played-self", None) => {
            let receipt = receipt(ReceiptKind::Played);
            receipts::tell_own_devices(network, state, &receipt, "played-self");
        }
        ("sender", None) if recipient == login.number && to.device != 0 => {
            let forwarded = forwarded(state, login, to, node);
            let queued = stanzas::queued(StanzaClass::Receipt, &login.number, forwarded);
            delivery::enqueue(network, state, (recipient, to.device), queued);
        }
        // `inactive` tells the sender nothing, and the others serve the server only.
        _ => {}
    }
}

/// Returns the ids of the messages that a receipt is for.
fn ids(node: &NodeRef<'_>) -> Vec<String> {
    let mut ids = vec![attribute(node, "id")];
    if let Some(list) = node.get_optional_child("list").and_then(|list| list.children()) {
        ids.extend(list.iter().map(|item| attribute(item, "id")));
    }
    ids
}

/// Handles a device's request for a new ciphertext: a phone encrypts again, and a device is asked
/// to.
fn on_retry(
    network: &Network,
    state: &mut NetworkState,
    login: &LoggedInDevice,
    (to, recipient): (&Address, &str),
    node: &NodeRef<'_>,
) {
    if to.device != 0 {
        let forwarded = forwarded(state, login, to, node);
        let queued = stanzas::queued(StanzaClass::Receipt, &login.number, forwarded);
        return delivery::enqueue(network, state, (recipient, to.device), queued);
    }
    let retry = node.get_optional_child("retry");
    let count = retry.and_then(|retry| attribute(retry, "count").parse().ok()).unwrap_or(1);
    let request = RetryRequest {
        phone: recipient,
        device: (&login.number, login.device),
        addressing: to.addressing,
        id: &attribute(node, "id"),
        count,
        keys: PublishedKeys::read(node),
    };
    outbox::resend(network, state, &request);
}

/// Returns the stanza as the device in `to` gets it: from the device that sent it.
fn forwarded(
    state: &mut NetworkState,
    login: &LoggedInDevice,
    to: &Address,
    node: &NodeRef<'_>,
) -> Node {
    let from = state.account(&login.number).map(|a| a.address(login.device, to.addressing));
    let mut stanza = node.to_owned();
    let mut attributes = wacore_binary::Attrs::new();
    attributes.push("from", from.unwrap_or_default());
    for (name, value) in &stanza.attrs {
        if name != "to" && name != "from" && name != "t" {
            attributes.push_value(name.clone(), value.clone());
        }
    }
    attributes.push("t", crate::clock::seconds());
    stanza.attrs = attributes;
    stanza
}

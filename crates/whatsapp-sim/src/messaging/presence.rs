//! Presence and typing: announced by devices and phones, passed on to those who subscribed or are
//! written to, and shown on phones. Neither is stored for absent devices.

use crate::account::{Account, DeviceConnection, Observation};
use crate::address::{Address, Addressing};
use crate::clock;
use crate::login::LoggedInDevice;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::socket::Socket;
use crate::stanza::attribute;
use serde::{Deserialize, Serialize};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

/// What a person does in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Typing {
    /// The person types.
    Composing,
    /// The person records a voice message.
    Recording,
    /// The person stopped.
    Paused,
}

impl Typing {
    fn name(self) -> &'static str {
        match self {
            Self::Composing => "composing",
            Self::Recording => "recording",
            Self::Paused => "paused",
        }
    }
}

/// Handles the presence that a device announces, or its wish to know the presence of others.
pub(crate) fn on_presence(network: &Network, login: &LoggedInDevice, node: &NodeRef<'_>) {
    let kind = attribute(node, "type");
    let mut state = network.state();
    let to = Address::parse(&attribute(node, "to"));
    let to = to.and_then(|to| state.number_of(&to.user)).map(str::to_owned);
    let device = state.device(&login.number, login.device);
    let Ok(Some(connection)) = device.map(|device| device.connection.as_mut()) else { return };
    match (kind.as_str(), to) {
        ("subscribe", Some(to)) => {
            connection.subscriptions.insert(to);
        }
        ("unsubscribe", Some(to)) => {
            connection.subscriptions.remove(&to);
        }
        ("" | "available" | "unavailable", _) => {
            connection.available = kind != "unavailable";
            announce(network, &mut state, (&login.number, login.device), kind != "unavailable");
        }
        _ => {}
    }
    drop(state);
    network.messages_changed();
}

/// Ends the presence of a device whose connection ends.
pub(crate) fn on_disconnect(network: &Network, socket: &Socket, login: &LoggedInDevice) {
    let mut state = network.state();
    let device = state.device(&login.number, login.device);
    let Ok(Some(connection)) = device.map(|device| device.connection.as_mut()) else { return };
    if connection.socket.id == socket.id && std::mem::take(&mut connection.available) {
        announce(network, &mut state, (&login.number, login.device), false);
    }
}

/// Tells subscribers that a device or a phone came or went, and shows the change on phones: on the
/// account's own phone, and on those that have a chat with the account.
pub(crate) fn announce(
    network: &Network,
    state: &mut NetworkState,
    from: (&str, u32),
    available: bool,
) {
    let (number, device) = from;
    let name = if available { "available" } else { "unavailable" };
    let Ok(account) = state.account(number) else { return };
    let jids = [Addressing::Pn, Addressing::Lid].map(|kind| account.address(0, kind));
    let observation = Observation {
        kind: "presence",
        from: number.to_owned(),
        device,
        state: name.to_owned(),
        at: clock::millis(),
    };
    for other in state.accounts.values_mut() {
        if other.number == number || other.conversations.has_partner(number) {
            other.observe(observation.clone());
        }
        let [pn, lid] = &jids;
        let jid = if other.addressing() == Addressing::Lid { lid } else { pn };
        for connection in reached(network, other).filter(|c| c.subscriptions.contains(number)) {
            let presence = NodeBuilder::new("presence").attr("from", jid.as_str());
            let presence = if available {
                presence
            } else {
                presence.attr("type", name).attr("last", clock::seconds())
            };
            connection.socket.send(presence.build());
        }
    }
}

/// Handles what a device tells about its person in a chat.
pub(crate) fn on_typing(network: &Network, login: &LoggedInDevice, node: &NodeRef<'_>) {
    let Some(child) = node.children().and_then(|children| children.first()) else { return };
    let typing = match (child.tag.as_ref(), attribute(child, "media").as_str()) {
        ("composing", "audio") => Typing::Recording,
        ("composing", _) => Typing::Composing,
        _ => Typing::Paused,
    };
    let Some(to) = Address::parse(&attribute(node, "to")) else { return };
    let mut state = network.state();
    let Some(number) = state.number_of(&to.user).map(str::to_owned) else { return };
    let from = (login.number.as_str(), login.device);
    type_to(network, &mut state, from, (&number, to.addressing), typing);
    drop(state);
    network.messages_changed();
}

/// Shows a person's typing on the phone of another account, and tells its connected devices.
pub(crate) fn type_to(
    network: &Network,
    state: &mut NetworkState,
    (from, device): (&str, u32),
    (to, addressing): (&str, Addressing),
    typing: Typing,
) {
    let Ok(account) = state.account(from) else { return };
    let stanza = chat_state(account.address(device, addressing), typing);
    let Ok(recipient) = state.account(to) else { return };
    recipient.observe(Observation {
        kind: "typing",
        from: from.to_owned(),
        device,
        state: typing.name().to_owned(),
        at: clock::millis(),
    });
    for connection in reached(network, recipient) {
        connection.socket.send(stanza.clone());
    }
}

/// Returns the connections of the devices of an account that the network reaches.
fn reached<'a>(
    network: &'a Network,
    account: &'a Account,
) -> impl Iterator<Item = &'a DeviceConnection> {
    let devices = account.devices.values();
    let devices = devices.filter(|d| !network.faults.is_silent(&account.number, d.id));
    devices.filter_map(|device| device.connection.as_ref())
}

fn chat_state(from: String, typing: Typing) -> Node {
    let child = match typing {
        Typing::Composing => NodeBuilder::new("composing"),
        Typing::Recording => NodeBuilder::new("composing").attr("media", "audio"),
        Typing::Paused => NodeBuilder::new("paused"),
    };
    NodeBuilder::new("chatstate").attr("from", from).children([child.build()]).build()
}

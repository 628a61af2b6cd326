//! Messages on their way to devices, kept until confirmed and sent again when they were not; and
//! what devices write.

use crate::account::{Account, Parcel};
use crate::clock;
use crate::greeting;
use crate::login::Seat;
use crate::network::Network;
use crate::socket::Socket;
use crate::stanza::{self, attribute, content, parent};
use crate::world::World;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::whatsapp::Message;

/// How often a device may ask for the same message again.
const MAX_ATTEMPTS: u32 = 5;

/// Hands a device everything that waits for it, if it is there, has asked, and has left its keys.
/// Answers how many that were.
pub(crate) fn deliver(account: &mut Account, id: u32) -> usize {
    let Account { number, name, signal, devices, .. } = account;
    let Some(device) = devices.get_mut(&id) else { return 0 };
    let (Some(line), Some(bundle)) = (&device.line, &mut device.bundle) else { return 0 };
    if !line.active {
        return 0;
    }
    let mut sent = 0;
    for parcel in device.parcels.iter_mut().filter(|parcel| !parcel.arrived) {
        if parcel.sealed.is_none() {
            match signal.seal((number, id), bundle, &parcel.message) {
                Ok(sealed) => parcel.sealed = Some(sealed),
                Err(error) => tracing::warn!(%error, "a message could not be sealed"),
            }
        }
        if let Some(sealed) = &parcel.sealed {
            line.socket.say(stanza_of(parcel, sealed.clone(), number, name));
            sent += 1;
        }
    }
    sent
}

fn stanza_of(parcel: &Parcel, sealed: Node, number: &str, name: &str) -> Node {
    let mut node = NodeBuilder::new("message")
        .attr("from", format!("{number}@s.whatsapp.net"))
        .attr("id", parcel.id.as_str())
        .attr("t", clock::seconds())
        .attr("type", "text")
        .attr("notify", name);
    if let Some(category) = parcel.category {
        node = node.attr("category", category);
    }
    node.children([sealed]).build()
}

/// The device has become active: it gets what waits, and hears that this was all.
pub(crate) fn activate(network: &Network, socket: &Socket, seat: &Seat) {
    let mut world = network.world();
    let Ok(account) = world.account(&seat.number) else { return };
    let Some(line) = account.devices.get_mut(&seat.device).and_then(|d| d.line.as_mut()) else {
        return;
    };
    if line.socket.id != socket.id {
        return;
    }
    line.active = true;
    if account.devices.get(&seat.device).is_some_and(|device| device.bundle.is_some()) {
        greeting::greet(network, account, seat.device);
    }
    let count = deliver(account, seat.device);
    let offline = NodeBuilder::new("offline").attr("count", count).build();
    socket.say(NodeBuilder::new("ib").attr("from", stanza::SERVER).children([offline]).build());
}

/// A receipt or acknowledgement of the device: the message has arrived, or must be sealed anew.
pub(crate) fn confirmed(network: &Network, seat: &Seat, node: &NodeRef<'_>) {
    let mut ids = vec![attribute(node, "id")];
    if let Some(list) = node.get_optional_child("list").and_then(|list| list.children()) {
        ids.extend(list.iter().map(|item| attribute(item, "id")));
    }
    let mut world = network.world();
    let Ok(account) = world.account(&seat.number) else { return };
    let Some(device) = account.devices.get_mut(&seat.device) else { return };
    if attribute(node, "type") == "retry" {
        for parcel in device.parcels.iter_mut().filter(|parcel| ids.contains(&parcel.id)) {
            parcel.attempts += 1;
            parcel.sealed = None;
            parcel.arrived = false;
        }
        device.parcels.retain(|parcel| parcel.attempts < MAX_ATTEMPTS);
        account.signal.forget(&seat.number, seat.device);
        deliver(account, seat.device);
    } else {
        for parcel in device.parcels.iter_mut().filter(|parcel| ids.contains(&parcel.id)) {
            parcel.arrived = true;
        }
    }
}

/// A message that a device sends: the phones among those it is for read it. Copies for linked devices
/// are not passed on.
pub(crate) fn written(network: &Network, seat: &Seat, node: &NodeRef<'_>) {
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
    let mut world = network.world();
    for (jid, enc) in copies {
        if stanza::device(&jid) == 0 {
            read(&mut world, seat, stanza::user(&jid), enc);
        }
    }
    drop(world);
    network.changed();
}

fn read(world: &mut World, seat: &Seat, user: &str, enc: &NodeRef<'_>) {
    let Some(account) = world.account_of(user) else { return };
    let sealed = content(enc).unwrap_or_default();
    let sender = (seat.number.as_str(), seat.device);
    match account.signal.open(sender, &attribute(enc, "type"), &sealed) {
        Ok(message) => {
            if let Some(text) = text(&message) {
                account.keep_text(text);
            }
        }
        Err(error) => tracing::debug!(%error, "a phone cannot read a message"),
    }
}

fn text(message: &Message) -> Option<String> {
    let extended = message.extended_text_message.as_option().and_then(|e| e.text.clone());
    message.conversation.clone().or(extended)
}

/// The list of groups a device is in: none, the simulator has no groups.
pub(crate) fn no_groups() -> Node {
    parent("groups", [])
}

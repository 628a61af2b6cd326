//! Tells the devices of an account, and of those who have a chat with it, that a device was linked
//! or unlinked. Without the notification, senders would go on to encrypt for the former devices.

use crate::address::Addressing;
use crate::adv;
use crate::clock;
use crate::messaging::delivery;
use crate::messaging::queue::StanzaClass;
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::stanza::parent;
use wacore_binary::builder::NodeBuilder;

/// Queues the notification that a device was linked (`added`) or unlinked.
pub(crate) fn announce(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    device: u32,
    added: bool,
) {
    let Some(account) = state.accounts.get(number) else { return };
    let signed = if added { adv::key_index_list(account).unwrap_or_default() } else { Vec::new() };
    let changed = NodeBuilder::new("device")
        .attr("jid", account.jid(device))
        .attr("lid", account.lid_jid(device))
        .attr("key-index", device)
        .build();
    let list = NodeBuilder::new("key-index-list").attr("ts", clock::seconds()).bytes(signed);
    let operation = parent(if added { "add" } else { "remove" }, [changed, list.build()]);
    let base = NodeBuilder::new("notification")
        .attr("from", account.address(0, Addressing::Pn))
        .attr("lid", account.address(0, Addressing::Lid))
        .attr("type", "devices")
        .attr("t", clock::seconds())
        .children([operation])
        .build();
    let knows = |other: &&crate::account::Account| {
        other.number == number
            || other.conversations.has_partner(number)
            || account.conversations.has_partner(&other.number)
    };
    let others = state.accounts.values().filter(knows);
    let devices =
        others.flat_map(|other| other.devices.keys().map(|id| (other.number.clone(), *id)));
    let devices: Vec<_> = devices.filter(|(n, id)| (n.as_str(), *id) != (number, device)).collect();
    for (other, id) in devices {
        let mut notification = base.clone();
        notification.attrs.push("id", network.next_id("n"));
        let queued = stanzas::queued(StanzaClass::Notification, number, notification);
        delivery::enqueue(network, state, (&other, id), queued);
    }
}

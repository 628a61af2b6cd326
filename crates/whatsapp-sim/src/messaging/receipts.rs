//! Passes receipts on to the devices of the account that sent the messages, and to its phone.

use crate::account::Account;
use crate::address::Addressing;
use crate::clock;
use crate::journal::Record;
use crate::messaging::conversation::ReceiptRecord;
use crate::messaging::delivery;
use crate::messaging::queue::StanzaClass;
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::stanza::parent;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

/// A receipt of a device or a phone for messages of another account.
pub(crate) struct Receipt<'a> {
    /// The number and the device of the recipient of the messages.
    pub(crate) from: (&'a str, u32),
    /// The number of the account that sent the messages.
    pub(crate) to: &'a str,
    pub(crate) addressing: Addressing,
    pub(crate) ids: &'a [String],
    pub(crate) kind: ReceiptKind,
}

/// The kinds of receipts that are passed on to all devices of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReceiptKind {
    Delivered,
    Read,
    Played,
}

impl ReceiptKind {
    /// Returns the kind with this attribute `type`; `None` for kinds that are not passed on.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        match kind {
            "" | "delivery" => Some(Self::Delivered),
            "read" => Some(Self::Read),
            "played" => Some(Self::Played),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
        }
    }

    fn attribute(self) -> Option<&'static str> {
        (self != Self::Delivered).then(|| self.name())
    }
}

/// Passes a receipt on: queued for each device of the sender, and recorded on its phone.
pub(crate) fn pass_on(network: &Network, state: &mut NetworkState, receipt: &Receipt<'_>) {
    record(state, receipt);
    let (number, device) = receipt.from;
    let Ok(account) = state.account(number) else { return };
    let node = stanza(account, device, receipt, receipt.kind.attribute());
    let Ok(sender) = state.account(receipt.to) else { return };
    for id in sender.devices.keys().copied().collect::<Vec<_>>() {
        let queued = stanzas::queued(StanzaClass::Receipt, number, node.clone());
        delivery::enqueue(network, state, (receipt.to, id), queued);
    }
}

/// Tells the other devices of the account of the reader. `kind` is `read-self` or `played-self`;
/// `reader` is the device that must not be told.
pub(crate) fn tell_own_devices(
    network: &Network,
    state: &mut NetworkState,
    receipt: &Receipt<'_>,
    kind: &'static str,
) {
    let (number, reader) = receipt.from;
    let Ok(partner) = state.account(receipt.to) else { return };
    let chat = partner.address(0, receipt.addressing);
    let Ok(account) = state.account(number) else { return };
    let mut node = stanza(account, reader, receipt, Some(kind));
    node.attrs.push("recipient", chat);
    for id in account.devices.keys().copied().collect::<Vec<_>>() {
        if id != reader {
            let queued = stanzas::queued(StanzaClass::Receipt, number, node.clone());
            delivery::enqueue(network, state, (number, id), queued);
        }
    }
}

/// Builds the stanza of a receipt.
pub(crate) fn stanza(
    account: &Account,
    device: u32,
    receipt: &Receipt<'_>,
    kind: Option<&'static str>,
) -> Node {
    let mut ids = receipt.ids.iter();
    let mut node = NodeBuilder::new("receipt")
        .attr("from", account.address(device, receipt.addressing))
        .attr("id", ids.next().map(String::as_str).unwrap_or_default())
        .attr("t", clock::seconds());
    if let Some(kind) = kind {
        node = node.attr("type", kind);
    }
    let further: Vec<_> =
        ids.map(|id| NodeBuilder::new("item").attr("id", id.as_str()).build()).collect();
    if further.is_empty() { node.build() } else { node.children([parent("list", further)]).build() }
}

/// Records a receipt on the phone of the sender.
fn record(state: &mut NetworkState, receipt: &Receipt<'_>) {
    let NetworkState { accounts, journal, .. } = state;
    let Some(sender) = accounts.get_mut(receipt.to) else { return };
    let (from, device) = receipt.from;
    for id in receipt.ids {
        let record = ReceiptRecord {
            kind: receipt.kind.name().to_owned(),
            from: from.to_owned(),
            device,
            at: clock::millis(),
        };
        let updated = sender.conversations.update(
            id,
            |message| message.from_me && message.chat == from,
            |message| message.receipts.push(record),
        );
        if let Some(message) = updated {
            journal.write(&Record::message(receipt.to, message));
        }
    }
}

//! Privacy tokens: an account gives a token to a contact, whose messages carry it. Without a token,
//! WhatsApp may refuse a message to somebody who never wrote.

use crate::account::IssuedToken;
use crate::address::{self, Addressing};
use crate::clock;
use crate::encoding::Base64Text;
use crate::login::LoggedInDevice;
use crate::messaging::delivery;
use crate::messaging::queue::StanzaClass;
use crate::messaging::stanzas;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::stanza::{attribute, child_bytes, parent};
use wacore::iq::tctoken::compute_cs_token;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

const TRUSTED_CONTACT: &str = "trusted_contact";

/// Returns whether a message carries a valid token: one that the recipient gave to the sender, or
/// one that the sender derived from its salt.
pub(crate) fn has_valid_token(
    state: &NetworkState,
    from: &str,
    to: &str,
    message: &NodeRef<'_>,
) -> bool {
    let (Some(sender), Some(recipient)) = (state.accounts.get(from), state.accounts.get(to)) else {
        return false;
    };
    let given = child_bytes(message, "tctoken").is_some_and(|token| {
        recipient.settings.issued_tokens.get(from).is_some_and(|issued| issued.token.0 == token)
    });
    let derived = child_bytes(message, "cstoken").is_some_and(|token| {
        let lid = recipient.address(0, Addressing::Lid);
        let salt = sender.settings.nct_salt.as_ref();
        salt.is_some_and(|salt| compute_cs_token(&salt.0, &lid)[..] == token)
    });
    given || derived
}

/// Handles the request of a device to give tokens to contacts.
pub(crate) fn on_request(network: &Network, login: &LoggedInDevice, query: &NodeRef<'_>) {
    let Some(tokens) = query.get_optional_child("tokens").and_then(|tokens| tokens.children())
    else {
        return;
    };
    let mut state = network.state();
    for token in tokens.iter().filter(|token| attribute(token, "type") == TRUSTED_CONTACT) {
        let jid = attribute(token, "jid");
        let Some(to) = state.number_of(address::user(&jid)).map(str::to_owned) else { continue };
        let timestamp = attribute(token, "t").parse().unwrap_or_else(|_| clock::seconds());
        issue(network, &mut state, &login.number, &to, timestamp);
    }
    drop(state);
    network.changed();
}

/// Gives a token of one account to another, whose devices are notified.
pub(crate) fn issue(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    to: &str,
    timestamp: u64,
) {
    let Ok(account) = state.account(number) else { return };
    let issued = IssuedToken { token: Base64Text(rand::random::<[u8; 16]>().to_vec()), timestamp };
    account.settings.issued_tokens.insert(to.to_owned(), issued.clone());
    let from = account.address(0, Addressing::Pn);
    let lid = account.address(0, Addressing::Lid);
    let Ok(recipient) = state.account(to) else { return };
    for id in recipient.devices.keys().copied().collect::<Vec<_>>() {
        let notification = NodeBuilder::new("notification")
            .attr("from", from.as_str())
            .attr("sender_lid", lid.as_str())
            .attr("type", "privacy_token")
            .attr("id", network.next_id("n"))
            .attr("t", clock::seconds())
            .children([parent("tokens", [token_node(&issued)])])
            .build();
        let queued = stanzas::queued(StanzaClass::Notification, number, notification);
        delivery::enqueue(network, state, (to, id), queued);
    }
}

fn token_node(issued: &IssuedToken) -> Node {
    NodeBuilder::new("token")
        .attr("type", TRUSTED_CONTACT)
        .attr("t", issued.timestamp)
        .bytes(issued.token.0.clone())
        .build()
}

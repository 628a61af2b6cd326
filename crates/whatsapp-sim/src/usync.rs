//! The directory of accounts: their LIDs and devices.

use crate::account::Account;
use crate::address::{self, Address, Addressing};
use crate::adv;
use crate::clock;
use crate::network_state::NetworkState;
use crate::stanza::{attribute, content, parent};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

/// Answers a `usync` query about users, by address or by phone number.
pub(crate) fn answer(state: &NetworkState, usync: &NodeRef<'_>) -> Node {
    let protocols: Vec<String> = usync
        .get_optional_child("query")
        .and_then(|query| query.children())
        .unwrap_or_default()
        .iter()
        .map(|protocol| protocol.tag.to_string())
        .collect();
    let users = usync.get_optional_child("list").and_then(|list| list.children());
    let users = users.unwrap_or_default().iter().map(|user| entry(state, user, &protocols));
    let users = users.collect::<Vec<_>>();
    let mut answer = NodeBuilder::new("usync");
    for name in ["sid", "index", "last", "mode", "context"] {
        if let Some(value) = usync.get_attr(name) {
            answer = answer.attr(name, value.as_str().into_owned());
        }
    }
    let protocols = protocols.into_iter().map(|name| NodeBuilder::new_dynamic(name).build());
    answer.children([parent("result", protocols), parent("list", users)]).build()
}

fn entry(state: &NetworkState, asked: &NodeRef<'_>, protocols: &[String]) -> Node {
    let jid = attribute(asked, "jid");
    let phone = asked.get_optional_child("contact").and_then(content);
    let phone = phone.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let by_phone = jid.is_empty();
    // A person's spelling of a number is resolved; an address must be exact.
    let number = if by_phone {
        state.number_of_contact(address::user(&phone))
    } else {
        state.number_of(address::user(&jid))
    };
    let account = number.and_then(|number| state.accounts.get(number));
    let mut user = NodeBuilder::new("user");
    user = match account {
        Some(account) if by_phone => user.attr("jid", account.address(0, Addressing::Pn)),
        Some(account) if is_lid(&jid) && !account.settings.number_hidden => {
            user.attr("jid", jid).attr("pn_jid", account.address(0, Addressing::Pn))
        }
        None if by_phone => {
            user.attr("jid", Address::format(address::user(&phone), 0, Addressing::Pn))
        }
        _ => user.attr("jid", jid),
    };
    let answers = protocols.iter().filter_map(|name| about(account, name, &phone));
    user.children(answers).build()
}

fn is_lid(jid: &str) -> bool {
    Address::parse(jid).is_some_and(|address| address.addressing == Addressing::Lid)
}

/// Returns the answer of one protocol about an account; `None` for unsupported protocols.
fn about(account: Option<&Account>, protocol: &str, phone: &str) -> Option<Node> {
    match (protocol, account) {
        ("contact", account) => {
            let kind = if account.is_some() { "in" } else { "out" };
            let contact = NodeBuilder::new("contact").attr("type", kind);
            Some(contact.bytes(phone.as_bytes()).build())
        }
        ("lid", Some(account)) => {
            let lid = account.address(0, Addressing::Lid);
            Some(NodeBuilder::new("lid").attr("val", lid).build())
        }
        ("devices", Some(account)) => Some(devices(account)),
        ("status", Some(_)) => Some(NodeBuilder::new("status").attr("t", "0").build()),
        ("disappearing_mode", Some(_)) => {
            Some(NodeBuilder::new("disappearing_mode").attr("duration", "0").attr("t", "0").build())
        }
        _ => None,
    }
}

fn devices(account: &Account) -> Node {
    let phone = NodeBuilder::new("device").attr("id", "0").build();
    let linked = account
        .devices
        .keys()
        .map(|id| NodeBuilder::new("device").attr("id", *id).attr("key-index", *id).build());
    let list = parent("device-list", std::iter::once(phone).chain(linked));
    let mut children = vec![list];
    if let Ok(signed) = adv::key_index_list(account) {
        let list = NodeBuilder::new("key-index-list").attr("ts", clock::seconds());
        children.push(list.bytes(signed).build());
    }
    parent("devices", children)
}

//! The queries of clients and their answers, selected by namespace and first child.

use crate::account::Account;
use crate::address;
use crate::faults::Fault;
use crate::initial_sync;
use crate::link_code;
use crate::login::LoggedInDevice;
use crate::messaging::{delivery, tokens};
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::prekeys::{SignedKey, UploadedKeys};
use crate::registration;
use crate::socket::Socket;
use crate::stanza::{attribute, parent, refusal, result};
use crate::unlink;
use crate::usync;
use std::sync::Arc;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

/// Handles one `iq` of a client. `login` is the logged-in device; `None` before the login.
pub(crate) fn handle(
    network: &Arc<Network>,
    socket: &Socket,
    login: Option<&LoggedInDevice>,
    query: &NodeRef<'_>,
) {
    let id = attribute(query, "id");
    if matches!(attribute(query, "type").as_str(), "result" | "error") {
        return registration::on_client_answer(network, socket, &id, query);
    }
    let namespace = attribute(query, "xmlns");
    let first = query.children().and_then(|children| children.first());
    let child = first.map(|child| child.tag.to_string()).unwrap_or_default();
    let fault = network.faults.take_for_query(&namespace, &child);
    let answer = match fault {
        Some(Fault::Swallow) => return,
        Some(Fault::Refuse(code)) => return socket.send(refusal(&id, code, "refused")),
        _ => answer(network, socket, login, (&namespace, &child, &id), query),
    };
    let pause = match fault {
        Some(Fault::LoseAnswer) => return,
        Some(Fault::Delay(pause)) => pause,
        _ => return send_answer(network, socket, login, (&namespace, &child), answer),
    };
    let (network, socket, login) = (Arc::clone(network), socket.clone(), login.cloned());
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        send_answer(&network, &socket, login.as_ref(), (&namespace, &child), answer);
    });
}

/// Sends an answer and starts the actions that follow it.
fn send_answer(
    network: &Network,
    socket: &Socket,
    login: Option<&LoggedInDevice>,
    (namespace, child): (&str, &str),
    answer: Node,
) {
    let granted = answer.attrs.get("type").is_some_and(|kind| kind == "result");
    socket.send(answer);
    if granted && let Some(login) = login {
        after_answer(network, socket, login, namespace, child);
    }
}

/// Starts the actions that follow a successful answer.
fn after_answer(
    network: &Network,
    socket: &Socket,
    login: &LoggedInDevice,
    namespace: &str,
    child: &str,
) {
    match (namespace, child) {
        ("passive", "active") => {
            let mut state = network.state();
            let device = state.device(&login.number, login.device);
            if device.is_ok_and(|device| device.bundle.is_some()) {
                initial_sync::send(network, &mut state, &login.number, login.device);
            }
            delivery::activate(network, &mut state, socket, login);
        }
        ("encrypt", "registration" | "list" | "identity" | "type" | "skey") => {
            let mut state = network.state();
            initial_sync::send(network, &mut state, &login.number, login.device);
            delivery::on_keys_uploaded(network, &mut state, &login.number, login.device);
        }
        _ => {}
    }
}

type QueryNames<'a> = (&'a str, &'a str, &'a str);

fn answer(
    network: &Arc<Network>,
    socket: &Socket,
    login: Option<&LoggedInDevice>,
    (namespace, child, id): QueryNames<'_>,
    query: &NodeRef<'_>,
) -> Node {
    let yes = |children| result(id, children);
    if (namespace, child) == ("md", "link_code_companion_reg") && login.is_none() {
        return link_code::on_client_query(network, socket, id, query);
    }
    if namespace == "w:p" {
        return yes(Vec::new());
    }
    let Some(login) = login else { return refusal(id, 403, "forbidden") };
    match (namespace, child) {
        ("encrypt", _) => encrypt(network, login, (child, id), query),
        ("md", "remove-companion-device") => {
            unlink::on_client_request(network, socket, login, id, query)
        }
        ("usync", _) => match query.get_optional_child("usync") {
            Some(usync) => yes(vec![usync::answer(&network.state(), usync)]),
            None => refusal(id, 400, "bad-request"),
        },
        ("w:sync:app:state", _) => match query.get_optional_child("sync") {
            Some(sync) => match network.state().account(&login.number) {
                Ok(account) => yes(vec![account.app_state.sync(sync)]),
                Err(_) => refusal(id, 403, "forbidden"),
            },
            // The other query deletes all collections, which the simulator need not do.
            None => yes(Vec::new()),
        },
        ("abt", _) => match network.state().account(&login.number) {
            Ok(account) => yes(vec![properties(account)]),
            Err(_) => refusal(id, 403, "forbidden"),
        },
        ("blocklist", _) => yes(vec![parent("list", [])]),
        ("privacy", "tokens") => {
            tokens::on_request(network, login, query);
            yes(Vec::new())
        }
        ("privacy", _) => yes(vec![privacy()]),
        ("w:g2", "participating") => yes(vec![parent("groups", [])]),
        ("w:profile:picture", _) => refusal(id, 404, "item-not-found"),
        _ => yes(Vec::new()),
    }
}

/// Returns whether a stanza asks only whether the server is there.
pub(crate) fn is_ping(stanza: &NodeRef<'_>) -> bool {
    stanza.tag == "iq" && attribute(stanza, "xmlns") == "w:p"
}

/// Properties of WhatsApp's clients: codes and default values, from `wacore::iq::abprops` 0.7.0.
/// Messages carry privacy tokens, received or derived; chats are addressed by LID.
const TOKENS_IN_MESSAGES: u32 = 10_518;
const DERIVED_TOKENS: u32 = 24_941;
const LID_MIGRATION: u32 = 9_435;

/// Returns the properties that the clients of an account use.
fn properties(account: &Account) -> Node {
    let settings = &account.settings;
    let lid = u8::from(settings.lid_migrated).to_string();
    let defaults = [
        (TOKENS_IN_MESSAGES, "1".to_owned()),
        (DERIVED_TOKENS, "1".to_owned()),
        (LID_MIGRATION, lid),
    ];
    let mut all = std::collections::BTreeMap::from(defaults);
    all.extend(settings.props.clone());
    let property = |(code, value): (u32, String)| {
        NodeBuilder::new("prop").attr("config_code", code).attr("config_value", value).build()
    };
    let properties = all.into_iter().map(property);
    NodeBuilder::new("props").attr("protocol", "1").children(properties).build()
}

fn privacy() -> Node {
    let all = ["last", "online", "profile", "status", "readreceipts", "groupadd", "calladd"];
    let category = |name| NodeBuilder::new("category").attr("name", name).attr("value", "all");
    parent("privacy", all.map(|name| category(name).build()))
}

/// Answers queries about pre-keys.
fn encrypt(
    network: &Network,
    login: &LoggedInDevice,
    (child, id): (&str, &str),
    query: &NodeRef<'_>,
) -> Node {
    let mut state = network.state();
    if let Some(key) = query.get_optional_child("key") {
        return result(id, vec![requested_keys(&mut state, key)]);
    }
    let Ok(device) = state.device(&login.number, login.device) else {
        return refusal(id, 403, "forbidden");
    };
    match (child, &mut device.bundle) {
        ("count", bundle) => {
            let count = bundle.as_ref().map_or(0, UploadedKeys::count);
            result(id, vec![NodeBuilder::new("count").attr("value", count).build()])
        }
        ("digest", Some(bundle)) => result(id, vec![bundle.digest()]),
        ("rotate", Some(bundle)) => {
            let rotate = query.get_optional_child("rotate");
            match rotate.and_then(|r| r.get_optional_child("skey")).and_then(SignedKey::read) {
                Some(signed) => bundle.signed = signed,
                None => return refusal(id, 406, "not-acceptable"),
            }
            result(id, Vec::new())
        }
        ("digest" | "rotate", None) => refusal(id, 404, "item-not-found"),
        (_, bundle) => match UploadedKeys::read(query) {
            Some(newer) => {
                match bundle {
                    Some(bundle) => bundle.merge(newer),
                    None => *bundle = Some(newer),
                }
                network.changed();
                result(id, Vec::new())
            }
            None => refusal(id, 406, "not-acceptable"),
        },
    }
}

/// Returns one key for each requested device: of a phone, or of a linked device with uploaded keys.
fn requested_keys(state: &mut NetworkState, asked: &NodeRef<'_>) -> Node {
    let given = asked.children().unwrap_or_default().iter().filter_map(|user| {
        let jid = attribute(user, "jid");
        let account = state.account_of(address::user(&jid))?;
        match address::device(&jid) {
            0 => Some(account.signal.bundle(&jid)),
            id => {
                let device = account.devices.get_mut(&id)?;
                device.bundle.as_mut().map(|bundle| bundle.take_entry(&jid, &device.approval))
            }
        }
    });
    let given: Vec<_> = given.collect();
    parent("list", given)
}

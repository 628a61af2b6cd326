//! The queries of clients and their answers, selected by namespace and first child.

use crate::faults::Fault;
use crate::initial_sync;
use crate::link_code;
use crate::login::LoggedInDevice;
use crate::messages;
use crate::network::Network;
use crate::network_state::NetworkState;
use crate::prekeys::{SignedKey, UploadedKeys};
use crate::registration;
use crate::socket::Socket;
use crate::stanza::{self, attribute, parent, refusal, result};
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
    let fault = network.faults.take(&namespace, &child);
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
        ("passive", "active") => messages::activate(network, socket, login),
        ("encrypt", "registration" | "list" | "identity" | "type" | "skey") => {
            let mut state = network.state();
            if let Ok(account) = state.account(&login.number) {
                initial_sync::send_initial_sync(network, account, login.device);
                messages::deliver(account, login.device);
            }
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
            Some(usync) => yes(vec![usync::answer(&mut network.state(), usync)]),
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
        ("abt", _) => yes(vec![NodeBuilder::new("props").attr("protocol", "1").build()]),
        ("blocklist", _) => yes(vec![parent("list", [])]),
        ("privacy", _) => yes(vec![privacy()]),
        ("w:g2", "participating") => yes(vec![messages::no_groups()]),
        ("w:profile:picture", _) => refusal(id, 404, "item-not-found"),
        _ => yes(Vec::new()),
    }
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
        let account = state.account_of(stanza::user(&jid))?;
        match stanza::device(&jid) {
            0 => Some(account.signal.bundle(&jid)),
            id => {
                account.devices.get_mut(&id)?.bundle.as_mut().map(|bundle| bundle.take_entry(&jid))
            }
        }
    });
    let given: Vec<_> = given.collect();
    parent("list", given)
}

//! The end of a link: the client logs out, or a person removes the device on the phone.

use crate::address;
use crate::error::PhoneError;
use crate::journal::Record;
use crate::login::LoggedInDevice;
use crate::messaging::device_list;
use crate::network::Network;
use crate::socket::Socket;
use crate::stanza::{self, attribute, refusal, result};
use std::sync::Arc;
use std::time::Duration;
use wacore_binary::{Node, NodeRef};

/// How long a logged-out client may keep its connection. Clients normally disconnect themselves;
/// the removal stanza would confuse them meanwhile.
const GRACE: Duration = Duration::from_secs(2);

/// Handles a client's request to remove a device of its own account.
pub(crate) fn on_client_request(
    network: &Arc<Network>,
    socket: &Socket,
    login: &LoggedInDevice,
    id: &str,
    query: &NodeRef<'_>,
) -> Node {
    let order = query.get_optional_child("remove-companion-device");
    let jid = order.map(|order| attribute(order, "jid")).unwrap_or_default();
    let mut state = network.state();
    let Ok(account) = state.account(&login.number) else { return refusal(id, 403, "forbidden") };
    let all = order.is_some_and(|order| attribute(order, "all") == "true");
    if !all && !account.has_address(address::user(&jid)) {
        return refusal(id, 403, "forbidden");
    }
    let asked = address::device(&jid);
    let removed: Vec<_> = account.devices.extract_if(.., |id, _| all || *id == asked).collect();
    for (id, _) in &removed {
        account.signal.forget(&(login.number.clone(), *id));
    }
    for (id, _) in &removed {
        state.journal.write(&Record::unlinked(&login.number, *id));
    }
    state.store_sessions(&login.number);
    for (id, _) in &removed {
        device_list::announce(network, &mut state, &login.number, *id, false);
    }
    drop(state);
    let removed = removed.into_iter().filter_map(|(_, device)| device.connection);
    for connection in removed {
        if connection.socket.id == socket.id {
            let socket = connection.socket;
            tokio::spawn(async move {
                tokio::time::sleep(GRACE).await;
                socket.send_and_close(stanza::device_removed());
            });
        } else {
            connection.socket.send_and_close(stanza::device_removed());
        }
    }
    tracing::info!(number = login.number, device = asked, "logged out");
    network.changed();
    result(id, Vec::new())
}

/// Removes a device on the phone.
pub(crate) fn on_phone(network: &Network, number: &str, id: u32) -> Result<(), PhoneError> {
    let mut state = network.state();
    let account = state.account(number)?;
    let device = account.devices.remove(&id).ok_or(PhoneError::NoSuchDevice)?;
    account.signal.forget(&(number.to_owned(), id));
    state.journal.write(&Record::unlinked(number, id));
    state.store_sessions(number);
    device_list::announce(network, &mut state, number, id, false);
    drop(state);
    if let Some(connection) = device.connection {
        connection.socket.send_and_close(stanza::device_removed());
    }
    tracing::info!(number, device = id, "unlinked on the phone");
    network.changed();
    Ok(())
}

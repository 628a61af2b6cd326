//! Links a client: the client gets references, a phone approves, the client signs and logs in
//! again.

use crate::account::{Account, Description, Device};
use crate::adv;
use crate::error::PhoneError;
use crate::keys::Key;
use crate::login_refusal::Version;
use crate::network::Network;
use crate::network_state::{NetworkState, PendingLink, UnlinkedClient};
use crate::qr::Qr;
use crate::socket::Socket;
use crate::stanza::{self, child_bytes, leaf, parent};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use waproto::buffa::Message as _;
use waproto::whatsapp::{ClientPairingProps, ClientPayload, DeviceProps};

/// Receives the result of a link: the id of the new device, or the error.
pub(crate) type Outcome = oneshot::Receiver<Result<u32, PhoneError>>;

/// Registers an unlinked client and sends references for its QR codes.
pub(crate) fn offer(network: &Network, socket: &Socket, noise: Key, payload: &ClientPayload) {
    let now = Instant::now();
    let config = &network.config;
    let refs: Vec<_> = (0_u32..)
        .take(config.refs)
        .map(|n| {
            let name = format!("2@{}", BASE64_STANDARD.encode(rand::random::<[u8; 96]>()));
            (name, now + config.first_ref_lifetime + config.next_ref_lifetime * n)
        })
        .collect();
    let shown = refs.iter().map(|(name, _)| leaf("ref", name.as_bytes()));
    let order = stanza::order(&network.next_id("pd"), "md", parent("pair-device", shown));
    let unlinked = UnlinkedClient {
        socket: socket.clone(),
        noise,
        description: describe(payload),
        version: version(payload),
        refs,
        code: None,
        linking: None,
    };
    network.state().unlinked_clients.insert(socket.id, unlinked);
    network.changed();
    socket.send(order);
}

fn describe(payload: &ClientPayload) -> Description {
    let props = payload.device_pairing_data.as_option().and_then(|d| d.device_props.as_deref());
    let props = props.and_then(|bytes| DeviceProps::decode_from_slice(bytes).ok());
    let props = props.unwrap_or_default();
    let platform = props.platform_type.map_or("unknown".into(), |p| format!("{p:?}"));
    let history = props.history_sync_config.as_option();
    let inline = history.and_then(|history| history.inline_initial_payload_in_e2_ee_msg);
    Description {
        platform: platform.to_lowercase(),
        os: props.os.unwrap_or_default(),
        inline_history: inline.unwrap_or(false),
    }
}

/// Returns the version in a client's payload.
pub(crate) fn version(payload: &ClientPayload) -> Version {
    let agent = payload.user_agent.as_option();
    agent.and_then(|agent| agent.app_version.as_option()).map_or(Version::default(), |v| {
        [v.primary, v.secondary, v.tertiary, v.quaternary, v.quinary].map(Option::unwrap_or_default)
    })
}

/// Handles the scan of a QR code.
pub(crate) fn scan(network: &Network, number: &str, text: &str) -> Result<Outcome, PhoneError> {
    let qr = Qr::read(text)?;
    let mut state = network.state();
    state.account(number)?;
    let unlinked = state.client_by_ref(&qr.reference).ok_or(PhoneError::QrExpired)?;
    if unlinked.noise != qr.noise {
        return Err(PhoneError::QrMismatch);
    }
    let client = unlinked.socket.id;
    approve(network, &mut state, client, number, qr.identity, &qr.secret)
}

/// Approves a client: sends the approval, which the client must sign.
pub(crate) fn approve(
    network: &Network,
    state: &mut NetworkState,
    client: u64,
    number: &str,
    identity: Key,
    secret: &Key,
) -> Result<Outcome, PhoneError> {
    let NetworkState { accounts, unlinked_clients, .. } = state;
    let account = accounts.get_mut(number).ok_or(PhoneError::NoSuchPhone)?;
    let unlinked = unlinked_clients.get_mut(&client).ok_or(PhoneError::ClientTimeout)?;
    // An abandoned link does not block the next one.
    if unlinked.linking.as_ref().is_some_and(|linking| !linking.done.is_closed()) {
        return Err(PhoneError::LinkInProgress);
    }
    if account.devices.len() >= network.config.max_devices {
        return Err(PhoneError::TooManyDevices);
    }
    let device = account.next_device().ok_or(PhoneError::TooManyDevices)?;
    let approval = adv::approve(account, device, &identity, secret)
        .map_err(|e| PhoneError::Internal(e.to_string()))?;
    // Two clients that link at the same time must not get the same id.
    account.last_device = device;
    let order = network.next_id("ps");
    let success = pair_success(approval.container, account, device);
    unlinked.socket.send(stanza::order(&order, "md", success));
    let (done, outcome) = oneshot::channel();
    unlinked.linking = Some(PendingLink {
        order,
        number: number.to_owned(),
        device,
        identity,
        details: approval.details,
        done,
    });
    Ok(outcome)
}

fn pair_success(container: Vec<u8>, account: &Account, device: u32) -> Node {
    let mut children = vec![
        leaf("device-identity", container),
        NodeBuilder::new("biz").attr("name", account.name.as_str()).build(),
        NodeBuilder::new("platform").attr("name", "android").build(),
        NodeBuilder::new("device")
            .attr("jid", account.jid(device))
            .attr("lid", account.lid_jid(device))
            .build(),
    ];
    if account.settings.lid_migrated {
        let props =
            ClientPairingProps { is_chat_db_lid_migrated: Some(true), ..Default::default() };
        children.push(leaf("client-props", props.encode_to_vec()));
    }
    parent("pair-success", children)
}

/// Handles the client's answer to the approval.
pub(crate) fn on_client_answer(
    network: &Arc<Network>,
    socket: &Socket,
    id: &str,
    answer: &NodeRef<'_>,
) {
    let mut state = network.state();
    let NetworkState { accounts, unlinked_clients, .. } = &mut *state;
    let Some(unlinked) = unlinked_clients.get_mut(&socket.id) else { return };
    let Some(linking) = unlinked.linking.take_if(|linking| linking.order == id) else { return };
    let Some(account) = accounts.get_mut(&linking.number) else { return };
    if stanza::attribute(answer, "type") == "error" {
        let _ = linking.done.send(Err(PhoneError::Refused(error_text(answer))));
        return;
    }
    let signed = answer.get_optional_child("pair-device-sign");
    let signed = signed.and_then(|sign| child_bytes(sign, "device-identity")).unwrap_or_default();
    if !adv::is_signed_by_device(&signed, &linking.details, &linking.identity, account) {
        let _ = linking.done.send(Err(PhoneError::Refused("wrong signature".into())));
        socket.send_and_close(stanza::stream_error("401"));
        return;
    }
    let (noise, description) = (unlinked.noise, unlinked.description.clone());
    let mut device = Device::new(linking.device, noise, linking.identity, description);
    device.version = unlinked.version;
    device.approval = adv::published_approval(&signed, account);
    unlinked_clients.remove(&socket.id);
    // A key belongs to one device: a client that links again with its old key replaces its old
    // device.
    for account in accounts.values_mut() {
        account.devices.retain(|_, old| old.noise != noise);
    }
    if let Some(account) = accounts.get_mut(&linking.number) {
        account.devices.insert(device.id, device);
    }
    drop(state);
    tracing::info!(number = linking.number, device = linking.device, "linked");
    let _ = linking.done.send(Ok(linking.device));
    network.changed();
    order_restart(network, socket);
}

fn error_text(answer: &NodeRef<'_>) -> String {
    let error = answer.get_optional_child("error");
    let part = |name| error.map(|e| stanza::attribute(e, name)).unwrap_or_default();
    format!("{} {}", part("code"), part("text")).trim().to_owned()
}

/// Orders a linked client to log in again, as a device.
fn order_restart(network: &Arc<Network>, socket: &Socket) {
    let (pause, socket) = (network.config.restart_pause, socket.clone());
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        socket.send_and_close(stanza::stream_error("515"));
    });
}

//! The phone's answer to a device that could not decrypt a message: the device asks its own phone
//! for the content, besides the retry receipt to the sender. Only phones with the setting answer.

use crate::account::Account;
use crate::address::Addressing;
use crate::messaging::inbox::{self, InternalRequest};
use crate::messaging::outbox;
use crate::network::Network;
use crate::network_state::NetworkState;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::peer_data_operation_request_response_message::PeerDataOperationResult;
use waproto::whatsapp::message::peer_data_operation_request_response_message::peer_data_operation_result::PlaceholderMessageResendResponse;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    PeerDataOperationRequestResponseMessage, PeerDataOperationRequestType, ProtocolMessage,
};
use waproto::whatsapp::{Message, MessageKey, WebMessageInfo};

/// Answers the requests of devices for contents of messages.
pub(crate) fn answer(
    network: &Network,
    state: &mut NetworkState,
    number: &str,
    requests: Vec<InternalRequest>,
) {
    for request in requests {
        let Ok(account) = state.account(number) else { return };
        if !account.settings.placeholder_resend {
            continue;
        }
        if let Some(answer) = response(account, &request) {
            outbox::send_internal(network, state, number, request.device, &answer);
        }
    }
}

/// Hands the messages that an earlier run had stored to the phones.
pub(crate) fn receive_all(network: &Network) {
    let mut state = network.state();
    for number in state.accounts.keys().cloned().collect::<Vec<_>>() {
        let requests = inbox::receive(network, &mut state, &number);
        answer(network, &mut state, &number, requests);
    }
}

/// Returns the answer to a request; `None` for messages of another kind.
fn response(account: &Account, request: &InternalRequest) -> Option<Message> {
    let message = Message::decode_from_slice(&request.protobuf[..]).ok()?;
    let protocol = message.protocol_message.as_option()?;
    let asked = protocol.peer_data_operation_request_message.as_option()?;
    let keys = asked.placeholder_message_resend_request.iter();
    let contents = keys.filter_map(|asked| content(account, asked.message_key.as_option()?));
    let result = |info: WebMessageInfo| PeerDataOperationResult {
        placeholder_message_resend_response: MessageField::some(PlaceholderMessageResendResponse {
            web_message_info_bytes: Some(info.encode_to_vec()),
        }),
        ..Default::default()
    };
    let response = PeerDataOperationRequestResponseMessage {
        peer_data_operation_request_type: Some(
            PeerDataOperationRequestType::PLACEHOLDER_MESSAGE_RESEND,
        ),
        stanza_id: Some(request.id.clone()),
        peer_data_operation_result: contents.map(result).collect(),
    };
    if response.peer_data_operation_result.is_empty() {
        return None;
    }
    let protocol = ProtocolMessage {
        r#type: Some(Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
        peer_data_operation_request_response_message: MessageField::some(response),
        ..Default::default()
    };
    Some(Message { protocol_message: MessageField::some(protocol), ..Default::default() })
}

/// Returns a message that the phone shows, named by the partner's phone number.
fn content(account: &Account, key: &MessageKey) -> Option<WebMessageInfo> {
    let id = key.id.as_deref()?;
    let message = account.conversations.with_id(id).find(|message| message.readable)?;
    let key = MessageKey {
        remote_jid: Some(crate::address::Address::format(&message.chat, 0, Addressing::Pn)),
        from_me: Some(message.from_me),
        id: Some(id.to_owned()),
        participant: None,
    };
    Some(WebMessageInfo {
        key: MessageField::some(key),
        message: MessageField::some(message.content()?),
        message_timestamp: Some(message.timestamp),
        ..Default::default()
    })
}

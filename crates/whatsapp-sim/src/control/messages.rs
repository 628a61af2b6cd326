//! Messages of phones over HTTP: written, listed, read and played.

use super::{ControlError, ControlResult, bad_request, decoded, json, phone, query, read};
use crate::address::{self, Addressing};
use crate::control::routes::Route;
use crate::messaging::content::MessageContent;
use crate::messaging::conversation::ChatMessage;
use crate::messaging::outbox::OutgoingMessage;
use crate::phone::Phone;
use crate::simulator::Simulator;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_listener::RequestContext;
use hyper::{Method, StatusCode};
use matchit::Params;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message to write. Exactly one of `text`, `conversation`, `content` and `protobuf` is given.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MessageSpec {
    to: String,
    text: Option<String>,
    conversation: Option<String>,
    content: Option<MessageContent>,
    protobuf: Option<String>,
    id: Option<String>,
    addressing: Option<Addressing>,
    timestamp: Option<u64>,
    expiration: Option<u32>,
    quoted: Option<String>,
    #[serde(default)]
    garbled: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BulkSpec {
    to: String,
    texts: Vec<String>,
}

/// A message with its decrypted content.
#[derive(Serialize)]
struct MessageView {
    #[serde(flatten)]
    message: ChatMessage,
    /// The message as its fields, for all kinds but texts.
    content: Value,
}

pub(super) async fn respond(
    simulator: &Simulator,
    route: Route,
    params: &Params<'_, '_>,
    request: &mut RequestContext,
) -> ControlResult {
    let phone = phone(simulator, params)?;
    match route {
        Route::Messages if request.head.method == Method::GET => {
            let messages = list(simulator, &phone, request)?;
            Ok(json(StatusCode::OK, &serde_json::json!({ "messages": messages })))
        }
        Route::Messages => {
            let spec: MessageSpec = read(request).await?;
            let to = spec.to.clone();
            let sent = phone.send(&to, &outgoing(spec)?)?;
            Ok(json(StatusCode::CREATED, &sent))
        }
        Route::BulkMessages => {
            let BulkSpec { to, texts } = read(request).await?;
            let mut ids = Vec::new();
            for text in texts {
                ids.push(phone.send(&to, &OutgoingMessage::text(&text))?.id);
            }
            Ok(json(StatusCode::CREATED, &serde_json::json!({ "ids": ids })))
        }
        _ => {
            let id = decoded(params, "id");
            let marked = match route {
                Route::PlayMessage => phone.play(&id)?,
                _ => phone.read(&id)?,
            };
            Ok(json(StatusCode::OK, &serde_json::json!({ "messages": marked })))
        }
    }
}

fn outgoing(spec: MessageSpec) -> Result<OutgoingMessage, ControlError> {
    let bytes = spec.protobuf.map(|text| BASE64_STANDARD.decode(text)).transpose();
    let bytes = bytes.map_err(|error| bad_request(format!("protobuf: {error}")))?;
    let contents = [
        spec.text.map(|text| MessageContent::Text { text }),
        spec.conversation.map(|text| MessageContent::Conversation { text }),
        spec.content,
        bytes.map(MessageContent::Bytes),
    ];
    let mut given = contents.into_iter().flatten();
    let (Some(content), None) = (given.next(), given.next()) else {
        return Err(bad_request("give one of text, conversation, content and protobuf"));
    };
    Ok(OutgoingMessage {
        content,
        id: spec.id,
        addressing: spec.addressing,
        timestamp: spec.timestamp,
        expiration: spec.expiration,
        quoted: spec.quoted,
        garbled: spec.garbled,
    })
}

fn list(
    simulator: &Simulator,
    phone: &Phone,
    request: &RequestContext,
) -> Result<Vec<MessageView>, ControlError> {
    let mut query = query(request);
    let after =
        query.remove("after").map(|after| after.parse()).transpose().map_err(bad_request)?;
    let (id, chat) = (query.remove("id"), query.remove("chat"));
    if let Some(name) = query.into_keys().next() {
        return Err(bad_request(format!("unknown parameter {name}")));
    }
    let mut messages = match &id {
        Some(id) => phone.messages_with_id(id),
        None => phone.messages(after),
    };
    if let Some(after) = after {
        messages.retain(|message| message.order > after);
    }
    if let Some(chat) = chat {
        let number = simulator.number_of(&chat);
        let number = number.unwrap_or_else(|| address::user(&chat).to_owned());
        messages.retain(|message| message.chat == number);
    }
    Ok(messages.into_iter().map(view).collect())
}

fn view(message: ChatMessage) -> MessageView {
    let content = match message.kind.as_str() {
        "text" | "unreadable" | "malformed" => Value::Null,
        _ => message.content().and_then(|c| serde_json::to_value(c).ok()).unwrap_or_default(),
    };
    MessageView { message, content }
}

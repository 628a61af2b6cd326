//! The result of sending a message.

use domain::{MessageStatus, SentMessage};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Addresses, message_error, parts::MessageErrorView};
use crate::wire::{example::example_is_sample, schema};

/// A message that berth accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SendResult)]
pub struct SendResultView<'a> {
    /// `sync` for a request that waited, `async` for a request with `?async`.
    #[schema(schema_with = schema::send_mode)]
    pub mode: &'static str,
    /// The id of the message in the outbox.
    pub outbox_id: &'a str,
    /// Whether the request repeats an earlier one with the same `Idempotency-Key`.
    pub replayed: bool,
    /// The status by name.
    #[schema(schema_with = schema::message_status)]
    pub status: &'static str,
    /// The time of the message at WhatsApp; of a queued message, the time of acceptance.
    pub timestamp: i64,
    /// The id at WhatsApp, which never changes.
    pub wa_message_id: &'a str,
    /// The same id.
    pub message_id: &'a str,
    /// The id of the chat.
    pub chat_id: u64,
    /// The address of the chat: by phone number if it is known.
    pub chat_jid: Option<String>,
    /// The failure, or the reason for which the message waits.
    pub error: Option<MessageErrorView>,
    /// The number of messages of the session that are sent before this one; null for a message that
    /// does not wait.
    pub queue_position: Option<u64>,
}

example_is_sample!(SendResultView<'static>);

impl<'a> SendResultView<'a> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            mode: "sync",
            outbox_id: "out_01JGXS1DN00000000000000006",
            replayed: false,
            status: MessageStatus::Sent.as_str(),
            timestamp: 1_767_254_400_000,
            wa_message_id: "3EB0C431C26A1916E07E",
            message_id: "3EB0C431C26A1916E07E",
            chat_id: 7,
            chat_jid: Some("15551234567@s.whatsapp.net".to_owned()),
            error: None,
            queue_position: None,
        }
    }

    pub(crate) fn of(sent: &'a SentMessage) -> Self {
        let SentMessage { shown, mode, replayed, queue_position } = sent;
        let message = &shown.message;
        let status = message.state.status();
        Self {
            mode: mode.as_str(),
            outbox_id: message.outbox.as_ref().map_or("", domain::OutboxId::as_str),
            replayed: *replayed,
            status: status.as_str(),
            timestamp: message.at.millis(),
            wa_message_id: message.wa_id.as_str(),
            message_id: message.wa_id.as_str(),
            chat_id: message.chat.0,
            chat_jid: shown.chat.as_ref().and_then(|chat| Addresses::of_chat(chat).jid),
            error: message_error(message.state.failure(), status, message.awaits_ack),
            queue_position: *queue_position,
        }
    }
}

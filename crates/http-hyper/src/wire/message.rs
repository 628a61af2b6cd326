//! Messages in responses.

mod parts;
mod send;
mod send_spec;

use domain::{Chat, ChatAddress, MessageDetails, MessageFailure, MessageStatus, ShownMessage};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::parts::{
    ContactCardView, LocationView, MediaView, MessageErrorView, PollOptionView, PollView,
    QuoteView, ReactionView,
};
pub use self::{send::SendResultView, send_spec::MessageSpec};
use super::{example::example_is_sample, list::ListView};
use crate::wire::schema;

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Message)]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the API")]
pub struct MessageView<'a> {
    /// The number of the message within the session, in the order of arrival.
    pub id: u64,
    /// The id of the session.
    pub session_id: &'a str,
    /// The id at WhatsApp, which is unique within a chat and a sender.
    pub wa_message_id: &'a str,
    /// The id of the message in the outbox; null for messages that berth did not send.
    pub outbox_id: Option<&'a str>,
    /// The id of the chat.
    pub chat_id: u64,
    /// The address of the chat: by phone number if it is known.
    pub chat_jid: Option<String>,
    /// The private address of the chat.
    pub chat_lid: Option<String>,
    /// The phone number of the chat, digits only; null for groups.
    pub chat_phone: Option<String>,
    /// The address of the sender: by phone number if it is known.
    pub sender_jid: Option<String>,
    /// The private address of the sender.
    pub sender_lid: Option<String>,
    /// The phone number of the sender, digits only.
    pub sender_phone: Option<String>,
    /// The name that the sender shows.
    pub sender_name: Option<&'a str>,
    /// The direction, as the account sees it: `in` or `out`.
    #[schema(schema_with = schema::message_direction)]
    pub direction: &'static str,
    /// Whether the account sent the message.
    pub from_me: bool,
    /// The origin: `api`, `phone` (the account's own phone), `other_device` or `contact`.
    #[schema(schema_with = schema::message_source)]
    pub source: &'static str,
    /// The kind of the content.
    #[serde(rename = "type")]
    #[schema(schema_with = schema::message_kind)]
    pub kind: &'static str,
    /// The text, or the caption of media; null if the content was removed or cannot be read.
    pub body: Option<&'a str>,
    /// The caption of media, as `body`; null for other kinds.
    pub caption: Option<&'a str>,
    /// The quoted message.
    pub reply_to: Option<QuoteView<'a>>,
    /// The addresses of the people that the body mentions.
    pub mentions: &'a [String],
    /// Whether the message has a file.
    pub has_media: bool,
    /// The file.
    pub media: Option<MediaView<'a>>,
    /// The place of a location; null in this version.
    pub location: Option<LocationView<'a>>,
    /// The contacts of a contact message; null in this version.
    pub contacts: Option<Vec<ContactCardView<'a>>>,
    /// The poll; null in this version.
    pub poll: Option<PollView<'a>>,
    /// The reactions to the message; empty in this version.
    pub reactions: Vec<ReactionView<'a>>,
    /// The level: −1 failed, 0 queued, 1 sent, 2 delivered, 3 read, 4 played.
    #[schema(schema_with = schema::ack_level)]
    pub ack_level: i8,
    /// The status by name.
    #[schema(schema_with = schema::message_status)]
    pub status: &'static str,
    /// The failure, or the reason for which a queued message waits.
    pub error: Option<MessageErrorView>,
    /// Whether the text was changed later; false in this version.
    pub edited: bool,
    /// The time of the last change of the text.
    pub edited_at: Option<i64>,
    /// Whether the message was deleted for everybody in the chat; false in this version.
    pub deleted: bool,
    /// The address of the person who deleted the message.
    pub deleted_by: Option<String>,
    /// Whether the message was forwarded.
    pub forwarded: bool,
    /// Seconds after which clients remove the message; null for ever.
    pub ephemeral_seconds: Option<u32>,
    /// Whether the message could not be decrypted.
    pub undecryptable: bool,
    /// The text that the sender gave the message with `reference`.
    pub reference: Option<&'a str>,
    /// The time of the message at WhatsApp; of a queued message, the time of acceptance.
    pub timestamp: i64,
    /// The time at which berth stored the message.
    pub created_at: i64,
    /// The time of the last change.
    pub updated_at: i64,
}

example_is_sample!(MessageView<'static>, ListView<MessageView<'static>>);

impl<'a> MessageView<'a> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: 42,
            session_id: "sess_01JGXS1DN00000000000000001",
            wa_message_id: "3EB0C431C26A1916E07E",
            outbox_id: None,
            chat_id: 7,
            chat_jid: Some("15551234567@s.whatsapp.net".to_owned()),
            chat_lid: Some("915551234567@lid".to_owned()),
            chat_phone: Some("15551234567".to_owned()),
            sender_jid: Some("15551234567@s.whatsapp.net".to_owned()),
            sender_lid: Some("915551234567@lid".to_owned()),
            sender_phone: Some("15551234567".to_owned()),
            sender_name: Some("Ada"),
            direction: "in",
            from_me: false,
            source: "contact",
            kind: "text",
            body: Some("Is table 7 free at eight?"),
            caption: None,
            reply_to: Some(QuoteView { id: "3EB0538DA65A59F6D8A1", sender: None }),
            mentions: &[],
            has_media: false,
            media: None,
            location: None,
            contacts: None,
            poll: None,
            reactions: Vec::new(),
            ack_level: 2,
            status: "delivered",
            error: None,
            edited: false,
            edited_at: None,
            deleted: false,
            deleted_by: None,
            forwarded: false,
            ephemeral_seconds: Some(604_800),
            undecryptable: false,
            reference: None,
            timestamp: 1_767_254_400_000,
            created_at: 1_767_254_400_120,
            updated_at: 1_767_254_400_120,
        }
    }

    pub(crate) fn of(session_id: &'a str, shown: &'a ShownMessage) -> Self {
        let message = &shown.message;
        let details = message.details.as_ref();
        let chat = shown.chat.as_ref().map(Addresses::of_chat).unwrap_or_default();
        let sender = Addresses::of_person(&shown.sender_addresses());
        let has_media = message.kind.has_media();
        let body = message.body();
        let state = message.state;
        Self {
            id: message.id.0,
            session_id,
            wa_message_id: message.wa_id.as_str(),
            outbox_id: message.outbox.as_ref().map(domain::OutboxId::as_str),
            chat_id: message.chat.0,
            chat_jid: chat.jid,
            chat_lid: chat.lid,
            chat_phone: chat.phone,
            sender_jid: sender.jid,
            sender_lid: sender.lid,
            sender_phone: sender.phone,
            sender_name: message.sender_name.as_deref(),
            direction: message.direction().as_str(),
            from_me: message.source.is_own(),
            source: message.source.as_str(),
            kind: message.kind.as_str(),
            body,
            caption: body.filter(|_| has_media),
            reply_to: details.and_then(|it| it.reply_to.as_ref()).map(QuoteView::of),
            mentions: details.map_or(&[], |it: &MessageDetails| &it.mentions),
            has_media,
            media: details.and_then(|it| it.media.as_ref()).map(MediaView::of),
            location: None,
            contacts: None,
            poll: None,
            reactions: Vec::new(),
            ack_level: state.level_number(),
            status: state.status().as_str(),
            error: message_error(state.failure(), state.status(), message.awaits_ack),
            edited: false,
            edited_at: None,
            deleted: false,
            deleted_by: None,
            forwarded: message.flags.forwarded,
            ephemeral_seconds: Some(message.ephemeral_seconds).filter(|seconds| *seconds > 0),
            undecryptable: message.flags.undecryptable,
            reference: message.reference.as_deref(),
            timestamp: message.at.millis(),
            created_at: message.created_at.millis(),
            updated_at: message.updated_at.millis(),
        }
    }
}

impl ListView<MessageView<'_>> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![MessageView::sample()], next_cursor: None }
    }
}

/// Returns the error of a message: its failure, or that WhatsApp has not acknowledged it yet.
fn message_error(
    failure: Option<MessageFailure>,
    status: MessageStatus,
    awaits_ack: bool,
) -> Option<MessageErrorView> {
    match failure {
        Some(failure) => Some(MessageErrorView::of(failure)),
        None if awaits_ack && status == MessageStatus::Queued => {
            Some(MessageErrorView::waiting_for_ack())
        }
        None => None,
    }
}

/// The addresses of a chat or a person as texts.
#[derive(Default)]
pub(super) struct Addresses {
    pub(super) jid: Option<String>,
    pub(super) lid: Option<String>,
    pub(super) phone: Option<String>,
}

impl Addresses {
    pub(super) fn of_chat(chat: &Chat) -> Self {
        Self {
            jid: chat.address().map(ToString::to_string),
            lid: chat.lid.as_ref().map(ToString::to_string),
            phone: chat.phone.as_ref().and_then(|it| it.phone()).map(ToOwned::to_owned),
        }
    }

    /// Returns the texts of a person's addresses, of which the first is the main one.
    fn of_person(addresses: &[ChatAddress]) -> Self {
        let lid = addresses.iter().find(|address| matches!(address, ChatAddress::Lid(_)));
        Self {
            jid: addresses.first().map(ToString::to_string),
            lid: lid.map(ToString::to_string),
            phone: addresses.iter().find_map(ChatAddress::phone).map(ToOwned::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_always_present() {
        let shown = serde_json::to_value(MessageView::sample()).unwrap();
        let mut names: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
        names.sort();
        let expected = "ackLevel body caption chatId chatJid chatLid chatPhone contacts createdAt \
            deleted deletedBy direction edited editedAt ephemeralSeconds error forwarded fromMe \
            hasMedia id location media mentions outboxId poll reactions reference replyTo \
            senderJid senderLid senderName senderPhone sessionId source status timestamp type \
            undecryptable updatedAt waMessageId";
        assert_eq!(names.join(" "), expected);
    }
}

//! Chats in responses.

use domain::{ChatKind, ShownChat, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{example::example_is_sample, list::ListView, message::Addresses};
use crate::wire::schema;

/// A chat of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Chat)]
pub struct ChatView<'a> {
    /// The id of the chat within the session.
    pub id: u64,
    /// The id of the session.
    pub session_id: &'a str,
    /// The address of the chat: by phone number if it is known.
    pub jid: Option<String>,
    /// The private address of the partner; null for groups.
    pub lid: Option<String>,
    /// The phone number of the partner, digits only; null for groups.
    pub phone: Option<String>,
    /// The kind: `dm` for two people, or `group`.
    #[serde(rename = "type")]
    #[schema(schema_with = schema::chat_kind)]
    pub kind: &'static str,
    /// The name in the account's contacts, or the name that the partner shows.
    pub name: Option<&'a str>,
    /// Whether the chat is archived on the phone; null while unknown, always in this version.
    pub archived: Option<bool>,
    /// Whether the chat is pinned on the phone; null while unknown, always in this version.
    pub pinned: Option<bool>,
    /// The time until which the chat is muted on the phone; null in this version.
    pub muted_until: Option<i64>,
    /// The number of received messages that the account has not read.
    pub unread_count: u64,
    /// The time of the last message.
    pub last_message_at: Option<i64>,
    /// Seconds after which clients remove new messages; null for ever.
    pub ephemeral_seconds: Option<u32>,
    /// The last message.
    pub last_message: Option<LastMessageView<'a>>,
}

/// The last message of a chat, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LastMessage)]
pub struct LastMessageView<'a> {
    /// The number of the message within the session.
    pub id: u64,
    /// The id at WhatsApp.
    pub wa_message_id: &'a str,
    /// The direction, as the account sees it: `in` or `out`.
    #[schema(schema_with = schema::message_direction)]
    pub direction: &'static str,
    /// The kind of the content.
    #[serde(rename = "type")]
    #[schema(schema_with = schema::message_kind)]
    pub kind: &'static str,
    /// The first 200 characters of the text or the caption.
    pub body: Option<&'a str>,
    /// The status by name.
    #[schema(schema_with = schema::message_status)]
    pub status: &'static str,
    /// The time of the message at WhatsApp.
    pub timestamp: i64,
}

example_is_sample!(ChatView<'static>, ListView<ChatView<'static>>);

/// Maximum number of characters of a body in a list of chats.
const MAX_SHORT_BODY: usize = 200;

impl<'a> ChatView<'a> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self {
            id: 7,
            session_id: "sess_01JGXS1DN00000000000000001",
            jid: Some("15551234567@s.whatsapp.net".to_owned()),
            lid: Some("915551234567@lid".to_owned()),
            phone: Some("15551234567".to_owned()),
            kind: ChatKind::Dm.as_str(),
            name: Some("Ada"),
            archived: None,
            pinned: None,
            muted_until: None,
            unread_count: 2,
            last_message_at: Some(1_767_254_400_000),
            ephemeral_seconds: None,
            last_message: Some(LastMessageView {
                id: 42,
                wa_message_id: "3EB0C431C26A1916E07E",
                direction: "in",
                kind: "text",
                body: Some("Is table 7 free at eight?"),
                status: "delivered",
                timestamp: 1_767_254_400_000,
            }),
        }
    }

    pub(crate) fn of(session_id: &'a str, shown: &'a ShownChat) -> Self {
        let ShownChat { chat, last_message } = shown;
        let addresses = Addresses::of_chat(chat);
        let last_at = last_message.as_ref().map(|message| message.at);
        Self {
            id: chat.id.0,
            session_id,
            jid: addresses.jid,
            lid: addresses.lid,
            phone: addresses.phone,
            kind: chat.kind().as_str(),
            name: chat.name(),
            archived: None,
            pinned: None,
            muted_until: None,
            unread_count: chat.unread,
            last_message_at: last_at
                .or(chat.last_message.map(|_| chat.last_at))
                .map(Timestamp::millis),
            ephemeral_seconds: Some(chat.timer.seconds).filter(|seconds| *seconds > 0),
            last_message: last_message.as_ref().map(|message| LastMessageView {
                id: message.id.0,
                wa_message_id: message.wa_id.as_str(),
                direction: message.direction().as_str(),
                kind: message.kind.as_str(),
                body: message.body().map(short),
                status: message.state.status().as_str(),
                timestamp: message.at.millis(),
            }),
        }
    }
}

impl ListView<ChatView<'_>> {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { data: vec![ChatView::sample()], next_cursor: None }
    }
}

/// Returns the first 200 characters of a text.
fn short(text: &str) -> &str {
    text.char_indices().nth(MAX_SHORT_BODY).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_body_ends_between_characters() {
        assert_eq!(short("short"), "short");
        let long = "ü".repeat(MAX_SHORT_BODY + 1);
        assert_eq!(short(&long), "ü".repeat(MAX_SHORT_BODY));
        assert_eq!(short(&long[2..]), &long[2..]);
    }
}

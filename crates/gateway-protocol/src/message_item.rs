//! A message as a node reports it, without any type of the engine.

use serde::{Deserialize, Serialize};

use crate::base64_bytes::Base64Bytes;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageItem {
    /// WhatsApp's id of the message; unique with chat and sender only.
    pub wa_id: String,
    /// JID of the group, or of the partner of a direct chat, without a device. A direct chat has the
    /// form, phone or LID, in which WhatsApp addressed the message.
    pub chat: String,
    /// The other JID of the partner of a direct chat, if the node knows both.
    pub chat_alt: Option<String>,
    /// JID of the author without a device. `None`: this account.
    pub sender: Option<String>,
    /// The other JID of the author, if the node knows both.
    pub sender_alt: Option<String>,
    /// Display name that the author chose.
    pub sender_name: Option<String>,
    /// Device of the author.
    pub source: MessageSource,
    /// WhatsApp's time of the message, Unix milliseconds; WhatsApp counts seconds.
    pub sent_at: i64,
    /// Kind of the content.
    #[serde(rename = "type")]
    pub message_type: MessageType,
    /// Text or caption; of a reaction its emoji, empty to remove the reaction; of an edit the new text.
    /// Contains no NUL.
    pub body: Option<String>,
    /// The quoted message.
    pub reply_to: Option<QuotedMessage>,
    /// JIDs of the mentioned people.
    #[serde(default)]
    pub mentions: Vec<String>,
    /// Lifetime of the message in seconds by the disappearing timer of its chat.
    pub ephemeral_seconds: Option<u32>,
    /// Description of the attached media.
    pub media: Option<MediaDescription>,
    /// The message that an add-on (reaction, edit, revoke, vote) changes.
    pub target: Option<TargetMessage>,
    /// The message in WhatsApp's own encoding without thumbnails. `None`: a plain text, or too long.
    pub content: Option<Base64Bytes>,
    /// What else is known of the message.
    #[serde(default)]
    pub flags: Vec<MessageFlag>,
}

/// Device of a message's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageSource {
    /// Another account.
    Contact,
    /// The phone of this account.
    Phone,
    /// A linked device of this account other than this session.
    #[serde(other)]
    OtherDevice,
}

/// Kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageType {
    /// Text.
    Text,
    /// Image.
    Image,
    /// Video, also without sound and in a loop.
    Video,
    /// Audio file or voice message.
    Audio,
    /// File.
    Document,
    /// Sticker.
    Sticker,
    /// Location, also a live one.
    Location,
    /// One or more contact cards.
    Contact,
    /// Poll.
    Poll,
    /// Add-on: a reaction to a message, or its removal.
    Reaction,
    /// Add-on: new content of a message.
    Edit,
    /// Add-on: the deletion of a message for everyone.
    Revoke,
    /// Add-on: a vote in a poll.
    Vote,
    /// Any other kind.
    #[serde(other)]
    Unknown,
}

/// A property of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageFlag {
    /// The message was forwarded.
    Forwarded,
    /// The message can be viewed once only.
    ViewOnce,
    /// WhatsApp had queued the message while the session was not connected.
    Offline,
    /// The phone sent the message again because this session could not read it.
    Recovered,
    /// The body was cut.
    BodyTruncated,
    /// The content is absent because it is too long.
    ContentTruncated,
    /// A property of a newer node.
    #[serde(other)]
    Unknown,
}

/// A quoted message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotedMessage {
    /// WhatsApp's id of the message.
    pub id: String,
    /// JID of the author.
    pub sender: Option<String>,
}

/// The message that an add-on changes, as the author of the add-on names it. The author may name any
/// message; the router checks whether the author may change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetMessage {
    /// WhatsApp's id of the message.
    pub id: String,
    /// JID of the chat.
    pub chat: Option<String>,
    /// In a group, JID of the author of the changed message.
    pub sender: Option<String>,
    /// Whether the author of the add-on is the author of the changed message.
    pub from_me: bool,
}

/// Media of a message, as its author describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaDescription {
    /// MIME type.
    pub mime_type: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// SHA-256 of the content in hexadecimal.
    pub sha256: Option<String>,
    /// File name; may be any text.
    pub file_name: Option<String>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Duration in seconds.
    pub seconds: Option<u32>,
    /// Whether the audio is a voice message.
    #[serde(default)]
    pub voice: bool,
}

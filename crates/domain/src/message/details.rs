//! The parts of a message that are content, and are therefore sealed where they are stored.

use crate::id::WaMessageId;

/// Description of a message's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaInfo {
    /// Media type, as the sender states it.
    pub mime_type: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// SHA-256 of the file, in lower hexadecimal digits.
    pub sha256: Option<String>,
    /// Name of the file, as the sender states it.
    pub file_name: Option<String>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Duration in seconds.
    pub seconds: Option<u32>,
    /// Whether the sound is a voice note.
    pub voice: bool,
}

/// The message that another message quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedMessage {
    /// Id of the quoted message.
    pub wa_id: WaMessageId,
    /// Address of its sender. `None` if unknown.
    pub sender: Option<String>,
}

/// The message that an add-on changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddonTarget {
    /// Id of the message.
    pub wa_id: WaMessageId,
    /// Address of its chat. `None` for the chat of the add-on.
    pub chat: Option<String>,
    /// Address of its sender. `None` if unknown.
    pub sender: Option<String>,
    /// Whether the sender of the add-on sent the message.
    pub from_me: bool,
}

/// The readable content of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageDetails {
    /// Text, caption, emoji of a reaction, or new text of an edit.
    pub body: Option<String>,
    /// Whether the node cut the body off.
    pub body_truncated: bool,
    /// The file.
    pub media: Option<MediaInfo>,
    /// Addresses of the people that the body mentions.
    pub mentions: Vec<String>,
    /// The quoted message.
    pub reply_to: Option<QuotedMessage>,
    /// The changed message.
    pub target: Option<AddonTarget>,
}

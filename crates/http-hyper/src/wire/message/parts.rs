//! The parts of messages in responses.

use domain::{MediaInfo, MessageFailure, QuotedMessage, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::schema::{self, WAITING_FOR_ACK};

/// A quoted message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Quote)]
pub struct QuoteView<'a> {
    /// The id of the quoted message at WhatsApp.
    pub id: &'a str,
    /// The address of its sender; null if unknown.
    pub sender: Option<&'a str>,
}

/// The file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Media)]
pub struct MediaView<'a> {
    /// Whether the file can be downloaded from berth; false in this version.
    pub available: bool,
    /// The media type, as the sender states it.
    pub mime_type: Option<&'a str>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The SHA-256 of the file, in lower hexadecimal digits.
    pub sha256: Option<&'a str>,
    /// The name of the file, as the sender states it.
    pub file_name: Option<&'a str>,
    /// The width in pixels.
    pub width: Option<u32>,
    /// The height in pixels.
    pub height: Option<u32>,
    /// The duration in seconds.
    pub seconds: Option<u32>,
    /// Whether the sound is a voice note.
    pub voice: bool,
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Location)]
pub struct LocationView<'a> {
    /// The latitude in degrees.
    pub latitude: f64,
    /// The longitude in degrees.
    pub longitude: f64,
    /// The name of the place.
    pub name: Option<&'a str>,
    /// The address of the place.
    pub address: Option<&'a str>,
}

/// A contact card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ContactCard)]
pub struct ContactCardView<'a> {
    /// The name of the person.
    pub name: Option<&'a str>,
    /// The card in the format vCard.
    pub vcard: &'a str,
}

/// A poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Poll)]
pub struct PollView<'a> {
    /// The question.
    pub name: &'a str,
    /// The answers that can be chosen.
    pub options: Vec<PollOptionView<'a>>,
    /// Maximum number of options that one person may choose.
    pub selectable: u32,
}

/// An option of a poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PollOption)]
pub struct PollOptionView<'a> {
    /// The text of the option.
    pub name: &'a str,
    /// The number of votes.
    pub votes: u32,
}

/// A reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reaction)]
pub struct ReactionView<'a> {
    /// The emoji.
    pub emoji: &'a str,
    /// The address of the person who reacted.
    pub sender: &'a str,
    /// The time of the reaction.
    pub at: i64,
}

/// The failure of a message, or the reason for which a queued message waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessageError)]
pub struct MessageErrorView {
    /// The code, for programs.
    #[schema(schema_with = schema::message_error_code)]
    pub code: &'static str,
    /// The message, for people.
    pub message: &'static str,
    /// The code of WhatsApp; null for a failure that WhatsApp did not report.
    pub wa_code: Option<u16>,
    /// The time from which a new message may succeed; null if unknown.
    pub retry_at: Option<i64>,
}

impl<'a> QuoteView<'a> {
    pub(super) fn of(quoted: &'a QuotedMessage) -> Self {
        Self { id: quoted.wa_id.as_str(), sender: quoted.sender.as_deref() }
    }
}

impl<'a> MediaView<'a> {
    pub(super) fn of(media: &'a MediaInfo) -> Self {
        Self {
            available: false,
            mime_type: media.mime_type.as_deref(),
            size: media.size,
            sha256: media.sha256.as_deref(),
            file_name: media.file_name.as_deref(),
            width: media.width,
            height: media.height,
            seconds: media.seconds,
            voice: media.voice,
        }
    }
}

impl MessageErrorView {
    pub(crate) fn of(failure: MessageFailure) -> Self {
        Self {
            code: failure.reason.as_str(),
            message: failure.reason.message(),
            wa_code: failure.code,
            retry_at: failure.retry_at.map(Timestamp::millis),
        }
    }

    /// Returns the reason for which a message waits that was handed over.
    pub(crate) const fn waiting_for_ack() -> Self {
        Self {
            code: WAITING_FOR_ACK,
            message: "the message was handed over; WhatsApp has not acknowledged it yet",
            wa_code: None,
            retry_at: None,
        }
    }
}

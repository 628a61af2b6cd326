//! Fields of the events of messages: objects within a payload, and the content of a message.

use crate::{
    event::{
        field_spec::{EventFieldShape, EventFieldSpec, EventFieldType},
        fields::{EventField, EventFields, EventValue},
    },
    id::WaMessageId,
    message::{
        details::{MediaInfo, MessageDetails, QuotedMessage},
        state::{FailureReason, MessageFailure},
    },
    time::Timestamp,
};

/// Declares an object within a payload: its fields with their stored names in display order.
macro_rules! object {
    (
        $(#[doc = $doc:literal])+
        $name:ident {
            $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty = $key:literal,)+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $field_doc])+ pub $field: $type,)+
        }

        impl EventField for $name {
            fn shape() -> EventFieldShape {
                EventFieldType::Object(vec![$(EventFieldSpec {
                    name: $key,
                    description: concat!($($field_doc),+).trim_ascii_start(),
                    shape: <$type>::shape(),
                }),+]).into()
            }

            fn to_value(&self) -> Option<EventValue> {
                let fields: [(&str, Option<EventValue>); _] =
                    [$(($key, self.$field.to_value()),)+];
                let stored = fields.into_iter();
                let stored = stored.filter_map(|(key, value)| Some((key.into(), value?)));
                Some(EventValue::Object(stored.collect()))
            }

            fn from_value(value: Option<&EventValue>) -> Option<Self> {
                let EventValue::Object(fields) = value? else { return None };
                Some(Self { $($field: <$type>::from_value(value_of(fields, $key))?,)+ })
            }
        }
    };
}

object! {
    /// The file of a message, in an event.
    EventMedia {
        /// Whether the file can be downloaded from berth.
        available: bool = "available",
        /// Media type, as the sender states it.
        mime_type: Option<String> = "mimeType",
        /// Size in bytes.
        size: Option<u64> = "size",
        /// SHA-256 of the file, in lower hexadecimal digits.
        sha256: Option<String> = "sha256",
        /// Name of the file, as the sender states it.
        file_name: Option<String> = "fileName",
        /// Width in pixels.
        width: Option<u32> = "width",
        /// Height in pixels.
        height: Option<u32> = "height",
        /// Duration in seconds.
        seconds: Option<u32> = "seconds",
        /// Whether the sound is a voice note.
        voice: bool = "voice",
    }
}

object! {
    /// The quoted message, in an event.
    EventQuote {
        /// Id of the quoted message at WhatsApp.
        id: WaMessageId = "id",
        /// Address of its sender. Null if unknown.
        sender: Option<String> = "sender",
    }
}

object! {
    /// The failure of a message, in an event.
    EventFailure {
        /// Code of the reason.
        code: FailureReason = "code",
        /// Text of the reason.
        message: String = "message",
        /// Code of WhatsApp. Null for a failure that WhatsApp did not report.
        wa_code: Option<u32> = "waCode",
        /// Time from which a new message may succeed. Null if unknown.
        retry_at: Option<Timestamp> = "retryAt",
    }
}

/// Level of a message in an event: −1 for a failure, or 0 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventLevel(pub i8);

impl EventField for EventLevel {
    fn shape() -> EventFieldShape {
        EventFieldType::Range(-1, 4).into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Number(self.0.into()))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Number(number) if (-1..=4).contains(number) => {
                i8::try_from(*number).ok().map(Self)
            }
            _ => None,
        }
    }
}

pub(super) fn value_of<'a>(fields: &'a EventFields, key: &str) -> Option<&'a EventValue> {
    fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

impl EventMedia {
    /// Returns the file of a message of which only the description is stored.
    pub(crate) fn described(media: &MediaInfo) -> Self {
        let MediaInfo { mime_type, size, sha256, file_name, width, height, seconds, voice } =
            media.clone();
        Self { available: false, mime_type, size, sha256, file_name, width, height, seconds, voice }
    }
}

impl EventQuote {
    fn of(quoted: &QuotedMessage) -> Self {
        Self { id: quoted.wa_id.clone(), sender: quoted.sender.clone() }
    }
}

impl EventFailure {
    /// Returns a failure as events show it.
    pub(crate) fn of(failure: MessageFailure) -> Self {
        Self {
            code: failure.reason,
            message: failure.reason.message().to_owned(),
            wa_code: failure.code.map(u32::from),
            retry_at: failure.retry_at,
        }
    }
}

/// The fields of an event `message` that contain content. Stores keep them with the message, not
/// with the event, and add them when the event is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentFields {
    pub(crate) body: Option<String>,
    pub(crate) is_truncated: bool,
    pub(crate) media: Option<EventMedia>,
    pub(crate) mentions: Vec<String>,
    pub(crate) reply_to: Option<EventQuote>,
}

impl ContentFields {
    pub(crate) fn of(details: &MessageDetails) -> Self {
        let cut = details.body.as_deref().map(crate::message::text::event_body);
        Self {
            body: cut.map(|(body, _)| body.to_owned()),
            is_truncated: details.body_truncated || cut.is_some_and(|(_, is_cut)| is_cut),
            media: details.media.as_ref().map(EventMedia::described),
            mentions: details.mentions.clone(),
            reply_to: details.reply_to.as_ref().map(EventQuote::of),
        }
    }
}

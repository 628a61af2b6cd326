//! The content of messages that phones write: built from a short description, or given as bytes.

use serde::Deserialize;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AudioMessage, ContactMessage, DocumentMessage, ExtendedTextMessage, FutureProofMessage,
    ImageMessage, LocationMessage, PollCreationMessage, ProtocolMessage, ReactionMessage,
    StickerMessage, VideoMessage, poll_creation_message,
};
use waproto::whatsapp::{ContextInfo, Message, MessageContextInfo, MessageKey};

/// What a phone writes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum MessageContent {
    /// A text, as an extended text message.
    Text {
        /// The text.
        text: String,
    },
    /// A text in the old form, which has no room for an expiration.
    Conversation {
        /// The text.
        text: String,
    },
    /// An image. The media itself is not uploaded anywhere; hashes and keys are random.
    Image {
        /// The caption, if any.
        #[serde(default)]
        caption: Option<String>,
        /// The media type; `image/jpeg` by default.
        #[serde(default)]
        mimetype: Option<String>,
    },
    /// A video.
    Video {
        /// The caption, if any.
        #[serde(default)]
        caption: Option<String>,
        /// The media type; `video/mp4` by default.
        #[serde(default)]
        mimetype: Option<String>,
    },
    /// A voice message or an audio file.
    Audio {
        /// Whether the audio is a voice message.
        #[serde(default)]
        voice: bool,
        /// The media type; `audio/ogg; codecs=opus` by default.
        #[serde(default)]
        mimetype: Option<String>,
    },
    /// A file.
    Document {
        /// The caption, if any.
        #[serde(default)]
        caption: Option<String>,
        /// The name of the file, if any.
        #[serde(default)]
        file_name: Option<String>,
        /// The media type; `application/pdf` by default.
        #[serde(default)]
        mimetype: Option<String>,
    },
    /// A sticker.
    Sticker {
        /// The media type; `image/webp` by default.
        #[serde(default)]
        mimetype: Option<String>,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// The name of the place, if any.
        #[serde(default)]
        name: Option<String>,
    },
    /// A contact card.
    Contact {
        /// The shown name.
        name: String,
        /// The card as text.
        #[serde(default)]
        vcard: Option<String>,
    },
    /// A poll.
    Poll {
        /// The question.
        name: String,
        /// The answers to choose from.
        options: Vec<String>,
    },
    /// A reaction to a message of the same chat; an empty emoji removes an earlier reaction.
    Reaction {
        /// The id of the message.
        target: String,
        /// The reaction.
        emoji: String,
    },
    /// A new text of a message of the phone.
    Edit {
        /// The id of the message.
        target: String,
        /// The new text.
        text: String,
    },
    /// The deletion of a message for both sides.
    Revoke {
        /// The id of the message.
        target: String,
    },
    /// The chat's timer of disappearing messages.
    Timer {
        /// The lifetime of messages; 0 turns the timer off.
        seconds: u32,
    },
    /// An image that can be opened once.
    ViewOnce {
        /// The caption, if any.
        #[serde(default)]
        caption: Option<String>,
    },
    /// The bytes of a message, which may be malformed.
    #[serde(skip)]
    Bytes(Vec<u8>),
}

/// The chat in which a content is written.
#[derive(Debug, Default)]
pub(crate) struct ContentContext {
    /// The address of the chat.
    pub(crate) chat: String,
    /// Whether the message that the content refers to is the writer's own.
    pub(crate) own_target: bool,
    /// The lifetime of the message in seconds, if the chat has a timer.
    pub(crate) expiration: Option<u32>,
    /// The id and the author's address of a quoted message.
    pub(crate) quoted: Option<(String, String)>,
    /// The time of the message, in Unix milliseconds.
    pub(crate) millis: u64,
}

impl MessageContent {
    /// Returns the id of the message that the content refers to.
    pub(crate) fn target(&self) -> Option<&str> {
        match self {
            Self::Reaction { target, .. } | Self::Edit { target, .. } | Self::Revoke { target } => {
                Some(target)
            }
            _ => None,
        }
    }

    /// Encodes the content as a message.
    pub(crate) fn encode(&self, context: &ContentContext) -> Vec<u8> {
        if let Self::Bytes(bytes) = self {
            return bytes.clone();
        }
        self.message(context).encode_to_vec()
    }

    fn message(&self, context: &ContentContext) -> Message {
        let mut message = Message::default();
        match self {
            Self::Text { text } => message.extended_text_message = extended(text, context),
            Self::Conversation { text } => message.conversation = Some(text.clone()),
            Self::Location { latitude, longitude, name } => {
                message.location_message = MessageField::some(LocationMessage {
                    degrees_latitude: Some(*latitude),
                    degrees_longitude: Some(*longitude),
                    name: name.clone(),
                    context_info: context_info(context),
                    ..Default::default()
                });
            }
            Self::Contact { name, vcard } => {
                let card = format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nEND:VCARD");
                message.contact_message = MessageField::some(ContactMessage {
                    display_name: Some(name.clone()),
                    vcard: Some(vcard.clone().unwrap_or(card)),
                    context_info: context_info(context),
                    ..Default::default()
                });
            }
            Self::Poll { name, options } => poll(&mut message, name, options, context),
            Self::Reaction { target, emoji } => {
                message.reaction_message = MessageField::some(ReactionMessage {
                    key: key(context, target),
                    text: Some(emoji.clone()),
                    sender_timestamp_ms: i64::try_from(context.millis).ok(),
                    ..Default::default()
                });
            }
            Self::Edit { .. } | Self::Revoke { .. } | Self::Timer { .. } => {
                message.protocol_message = MessageField::some(self.protocol(context));
            }
            Self::ViewOnce { caption } => {
                let image = Self::Image { caption: caption.clone(), mimetype: None };
                let mut inner = image.message(context);
                if let Some(image) = inner.image_message.as_option_mut() {
                    image.view_once = Some(true);
                }
                message.view_once_message =
                    MessageField::some(FutureProofMessage { message: MessageField::some(inner) });
            }
            Self::Image { .. }
            | Self::Video { .. }
            | Self::Audio { .. }
            | Self::Document { .. }
            | Self::Sticker { .. } => self.media(&mut message, context),
            Self::Bytes(_) => {}
        }
        message
    }

    /// Returns the protocol message of an edit, a deletion or a timer.
    fn protocol(&self, context: &ContentContext) -> ProtocolMessage {
        let millis = i64::try_from(context.millis).ok();
        match self {
            Self::Edit { target, text } => ProtocolMessage {
                r#type: Some(Type::MESSAGE_EDIT),
                key: key(context, target),
                edited_message: MessageField::some(Message {
                    extended_text_message: extended(text, &ContentContext::default()),
                    ..Default::default()
                }),
                timestamp_ms: millis,
                ..Default::default()
            },
            Self::Revoke { target } => ProtocolMessage {
                r#type: Some(Type::REVOKE),
                key: key(context, target),
                ..Default::default()
            },
            Self::Timer { seconds } => ProtocolMessage {
                r#type: Some(Type::EPHEMERAL_SETTING),
                ephemeral_expiration: Some(*seconds),
                ephemeral_setting_timestamp: millis.map(|millis| millis / 1000),
                ..Default::default()
            },
            _ => ProtocolMessage::default(),
        }
    }

    /// Adds a media message. The media exists nowhere; a download fails.
    fn media(&self, message: &mut Message, context: &ContentContext) {
        let url = Some("https://mmg.whatsapp.net/v/t62.7118-24/sim.enc?ccb=11-4".to_owned());
        let direct_path = Some("/v/t62.7118-24/sim.enc?ccb=11-4".to_owned());
        let bytes = || Some(rand::random::<[u8; 32]>().to_vec());
        let kind = |given: &Option<String>, otherwise: &str| {
            Some(given.clone().unwrap_or_else(|| otherwise.to_owned()))
        };
        macro_rules! media {
            ($kind:ident, $mimetype:expr, $($field:ident: $value:expr),* $(,)?) => {
                MessageField::some($kind {
                    url,
                    direct_path,
                    mimetype: $mimetype,
                    media_key: bytes(),
                    file_sha256: bytes(),
                    file_enc_sha256: bytes(),
                    file_length: Some(1234),
                    context_info: context_info(context),
                    $($field: $value,)*
                    ..Default::default()
                })
            };
        }
        match self {
            Self::Image { caption, mimetype } => {
                message.image_message =
                    media!(ImageMessage, kind(mimetype, "image/jpeg"), caption: caption.clone());
            }
            Self::Video { caption, mimetype } => {
                message.video_message =
                    media!(VideoMessage, kind(mimetype, "video/mp4"), caption: caption.clone());
            }
            Self::Audio { voice, mimetype } => {
                let mimetype = kind(mimetype, "audio/ogg; codecs=opus");
                message.audio_message =
                    media!(AudioMessage, mimetype, ptt: Some(*voice), seconds: Some(3));
            }
            Self::Document { caption, file_name, mimetype } => {
                message.document_message = media!(
                    DocumentMessage,
                    kind(mimetype, "application/pdf"),
                    caption: caption.clone(),
                    file_name: file_name.clone(),
                );
            }
            Self::Sticker { mimetype } => {
                message.sticker_message = media!(StickerMessage, kind(mimetype, "image/webp"),);
            }
            _ => {}
        }
    }
}

fn extended(text: &str, context: &ContentContext) -> MessageField<ExtendedTextMessage> {
    MessageField::some(ExtendedTextMessage {
        text: Some(text.to_owned()),
        context_info: context_info(context),
        ..Default::default()
    })
}

fn poll(message: &mut Message, name: &str, options: &[String], context: &ContentContext) {
    let option = |name: &String| poll_creation_message::Option {
        option_name: Some(name.clone()),
        ..Default::default()
    };
    message.poll_creation_message_v3 = MessageField::some(PollCreationMessage {
        name: Some(name.to_owned()),
        options: options.iter().map(option).collect(),
        selectable_options_count: Some(1),
        context_info: context_info(context),
        ..Default::default()
    });
    message.message_context_info = MessageField::some(MessageContextInfo {
        message_secret: Some(rand::random::<[u8; 32]>().to_vec()),
        ..Default::default()
    });
}

fn key(context: &ContentContext, id: &str) -> MessageField<MessageKey> {
    MessageField::some(MessageKey {
        remote_jid: Some(context.chat.clone()),
        from_me: Some(context.own_target),
        id: Some(id.to_owned()),
        participant: None,
    })
}

fn context_info(context: &ContentContext) -> MessageField<ContextInfo> {
    if context.expiration.is_none() && context.quoted.is_none() {
        return MessageField::default();
    }
    let quoted = context.quoted.as_ref();
    let stub = Message { conversation: Some(String::new()), ..Default::default() };
    MessageField::some(ContextInfo {
        expiration: context.expiration,
        stanza_id: quoted.map(|(id, _)| id.clone()),
        participant: quoted.map(|(_, author)| author.clone()),
        quoted_message: quoted.map(|_| MessageField::some(stub)).unwrap_or_default(),
        ..Default::default()
    })
}

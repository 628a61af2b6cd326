//! What a message of the engine contains, as far as the protocol names it.

use gateway_protocol::{
    Base64Bytes, MediaDescription, MessageFlag, MessageType, QuotedMessage, TargetMessage,
};
use waproto::{buffa::MessageField, whatsapp as wa};
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::text::{bounded, clean_body, clean_id};

/// Wrappers around the content of a message; more of them are not unwrapped.
const MAX_WRAPPERS: usize = 8;
/// Maximum length of the stored encoding of a message, in bytes.
const MAX_CONTENT: usize = 256 << 10;
/// Maximum number of mentions.
const MAX_MENTIONS: usize = 1_024;
/// Maximum length of a MIME type or a file name, in characters.
const MAX_NAME: usize = 255;

/// The content of a message.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) message_type: Option<MessageType>,
    pub(super) body: Option<String>,
    pub(super) reply_to: Option<QuotedMessage>,
    pub(super) mentions: Vec<String>,
    pub(super) media: Option<MediaDescription>,
    pub(super) target: Option<TargetMessage>,
    pub(super) encoded: Option<Base64Bytes>,
    pub(super) flags: Vec<MessageFlag>,
}

/// What a decrypted message is.
#[derive(Debug)]
pub(super) enum Meaning {
    /// A message, or an add-on that changes one.
    Message(Box<Content>),
    /// A change of the disappearing timer of the chat, in seconds.
    Timer(u32),
    /// Nothing that a person wrote: keys, synchronization, and settings of the own devices.
    Internal,
}

/// Determines what a message is. Any decoded message has a meaning: a kind that this version does
/// not know is a message of the type *unknown*.
pub(super) fn meaning(message: &wa::Message) -> Meaning {
    let (base, view_once) = unwrapped(message);
    if is_internal(base) {
        return Meaning::Internal;
    }
    if let Some(protocol) = base.protocol_message.as_option() {
        return protocol_meaning(base, protocol);
    }
    let mut content = addon(base).unwrap_or_else(|| written(base));
    if view_once || shows_once(base) {
        content.flags.push(MessageFlag::ViewOnce);
    }
    add_context(&mut content, base);
    add_encoding(&mut content, base);
    Meaning::Message(Box::new(content))
}

/// Returns the message inside its wrappers, and whether a wrapper says that the message can be
/// viewed once.
fn unwrapped(message: &wa::Message) -> (&wa::Message, bool) {
    let (mut current, mut view_once) = (message, false);
    for _ in 0..MAX_WRAPPERS {
        let once = [
            &current.view_once_message,
            &current.view_once_message_v2,
            &current.view_once_message_v2_extension,
        ];
        let plain = [
            &current.ephemeral_message,
            &current.document_with_caption_message,
            &current.edited_message,
            &current.group_mentioned_message,
            &current.bot_invoke_message,
            &current.lottie_sticker_message,
            &current.associated_child_message,
            &current.spoiler_message,
            &current.poll_creation_message_v4,
            &current.question_message,
            &current.bot_forwarded_message,
        ];
        let inner = |field: &&'_ MessageField<wa::message::FutureProofMessage>| {
            field.as_option().is_some_and(|wrapper| wrapper.message.is_set())
        };
        let Some(wrapper) = once.into_iter().chain(plain).find(inner) else { break };
        view_once |= once.iter().any(|field| std::ptr::eq(*field, wrapper));
        let Some(next) = wrapper.as_option().and_then(|wrapper| wrapper.message.as_option()) else {
            break;
        };
        current = next;
    }
    if let Some(sent) = current.device_sent_message.as_option().and_then(|s| s.message.as_option())
    {
        let (base, once) = unwrapped_once(sent);
        return (base, view_once || once);
    }
    (current, view_once)
}

/// Unwraps a copy from an own device, which contains no further copy.
fn unwrapped_once(message: &wa::Message) -> (&wa::Message, bool) {
    if message.device_sent_message.is_set() { (message, false) } else { unwrapped(message) }
}

fn shows_once(base: &wa::Message) -> bool {
    let image = base.image_message.as_option().and_then(|image| image.view_once);
    let video = base.video_message.as_option().and_then(|video| video.view_once);
    let audio = base.audio_message.as_option().and_then(|audio| audio.view_once);
    [image, video, audio].contains(&Some(true))
}

/// Returns whether the message is about the account's own devices, or changes how a client shows
/// the chat.
fn is_internal(base: &wa::Message) -> bool {
    base.pin_in_chat_message.is_set()
        || base.keep_in_chat_message.is_set()
        || base.sticker_sync_rmr_message.is_set()
        || base.message_history_bundle.is_set()
        || base.message_history_notice.is_set()
        || base.group_root_key_share.is_set()
        || base.root_secret_distribute_message.is_set()
        || base.placeholder_message.is_set()
        || base.album_message.is_set()
}

fn protocol_meaning(base: &wa::Message, protocol: &wa::message::ProtocolMessage) -> Meaning {
    let target = protocol.key.as_option().and_then(target);
    let (message_type, body) = match protocol.r#type {
        Some(ProtocolType::REVOKE) => (MessageType::Revoke, None),
        Some(ProtocolType::MESSAGE_EDIT) => {
            let edited = protocol.edited_message.as_option().map(|edited| unwrapped(edited).0);
            (MessageType::Edit, edited.and_then(text_of))
        }
        Some(ProtocolType::EPHEMERAL_SETTING) => {
            return Meaning::Timer(protocol.ephemeral_expiration.unwrap_or_default());
        }
        _ => return Meaning::Internal,
    };
    let mut content = Content { message_type: Some(message_type), target, ..Content::default() };
    content.set_body(body);
    add_encoding(&mut content, base);
    Meaning::Message(Box::new(content))
}

/// Returns the content of an add-on.
fn addon(base: &wa::Message) -> Option<Content> {
    let (message_type, key, body) = if let Some(reaction) = base.reaction_message.as_option() {
        (MessageType::Reaction, &reaction.key, Some(reaction.text.clone().unwrap_or_default()))
    } else if let Some(reaction) = base.enc_reaction_message.as_option() {
        (MessageType::Reaction, &reaction.target_message_key, None)
    } else if let Some(vote) = base.poll_update_message.as_option() {
        (MessageType::Vote, &vote.poll_creation_message_key, None)
    } else if let Some(secret) = base.secret_encrypted_message.as_option() {
        (MessageType::Edit, &secret.target_message_key, None)
    } else {
        return None;
    };
    let target = key.as_option().and_then(target);
    let mut content = Content { message_type: Some(message_type), target, ..Content::default() };
    content.set_body(body);
    Some(content)
}

/// Returns the content of a message that is no add-on.
fn written(base: &wa::Message) -> Content {
    let (message_type, media) = described(base);
    let mut content = Content { message_type: Some(message_type), media, ..Content::default() };
    content.set_body(text_of(base));
    content
}

fn described(base: &wa::Message) -> (MessageType, Option<MediaDescription>) {
    let video = base.video_message.as_option().or_else(|| base.ptv_message.as_option());
    if base.conversation.is_some() || base.extended_text_message.is_set() {
        (MessageType::Text, None)
    } else if let Some(image) = base.image_message.as_option() {
        let media = file(image.mimetype.as_ref(), image.file_length, image.file_sha256.as_ref());
        let (width, height) = (image.width, image.height);
        (MessageType::Image, Some(MediaDescription { width, height, ..media }))
    } else if let Some(video) = video {
        let media = file(video.mimetype.as_ref(), video.file_length, video.file_sha256.as_ref());
        let (width, height, seconds) = (video.width, video.height, video.seconds);
        (MessageType::Video, Some(MediaDescription { width, height, seconds, ..media }))
    } else if let Some(audio) = base.audio_message.as_option() {
        let media = file(audio.mimetype.as_ref(), audio.file_length, audio.file_sha256.as_ref());
        let (seconds, voice) = (audio.seconds, audio.ptt == Some(true));
        (MessageType::Audio, Some(MediaDescription { seconds, voice, ..media }))
    } else if let Some(document) = base.document_message.as_option() {
        let media =
            file(document.mimetype.as_ref(), document.file_length, document.file_sha256.as_ref());
        let file_name = document.file_name.as_deref().map(|name| bounded(name, MAX_NAME));
        (MessageType::Document, Some(MediaDescription { file_name, ..media }))
    } else if let Some(sticker) = base.sticker_message.as_option() {
        let media =
            file(sticker.mimetype.as_ref(), sticker.file_length, sticker.file_sha256.as_ref());
        let (width, height) = (sticker.width, sticker.height);
        (MessageType::Sticker, Some(MediaDescription { width, height, ..media }))
    } else if base.location_message.is_set() || base.live_location_message.is_set() {
        (MessageType::Location, None)
    } else if base.contact_message.is_set() || base.contacts_array_message.is_set() {
        (MessageType::Contact, None)
    } else if polls(base).any(MessageField::is_set) {
        (MessageType::Poll, None)
    } else {
        (MessageType::Unknown, None)
    }
}

fn polls(
    base: &wa::Message,
) -> impl Iterator<Item = &MessageField<wa::message::PollCreationMessage>> {
    [
        &base.poll_creation_message,
        &base.poll_creation_message_v2,
        &base.poll_creation_message_v3,
        &base.poll_creation_message_v5,
        &base.poll_creation_message_v6,
    ]
    .into_iter()
}

fn file(mime: Option<&String>, size: Option<u64>, sha256: Option<&Vec<u8>>) -> MediaDescription {
    MediaDescription {
        mime_type: mime.map(|mime| bounded(mime, MAX_NAME)),
        size,
        sha256: sha256.filter(|sum| sum.len() == 32).map(|sum| hex(sum)),
        ..MediaDescription::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the text or caption of a message.
fn text_of(base: &wa::Message) -> Option<String> {
    let text = base.extended_text_message.as_option().and_then(|text| text.text.as_ref());
    let image = base.image_message.as_option().and_then(|image| image.caption.as_ref());
    let video = base.video_message.as_option().and_then(|video| video.caption.as_ref());
    let document = base.document_message.as_option().and_then(|d| d.caption.as_ref());
    let live = base.live_location_message.as_option().and_then(|live| live.caption.as_ref());
    let poll = polls(base).find_map(MessageField::as_option).and_then(|poll| poll.name.as_ref());
    let texts = [base.conversation.as_ref(), text, image, video, document, live, poll];
    texts.into_iter().flatten().next().cloned()
}

fn target(key: &wa::MessageKey) -> Option<TargetMessage> {
    Some(TargetMessage {
        id: clean_id(key.id.as_deref()?)?,
        chat: key.remote_jid.as_deref().map(|jid| bounded(jid, MAX_NAME)),
        sender: key.participant.as_deref().map(|jid| bounded(jid, MAX_NAME)),
        from_me: key.from_me.unwrap_or_default(),
    })
}

fn context(base: &wa::Message) -> Option<&wa::ContextInfo> {
    let contexts = [
        base.extended_text_message.as_option().map(|m| &m.context_info),
        base.image_message.as_option().map(|m| &m.context_info),
        base.video_message.as_option().map(|m| &m.context_info),
        base.ptv_message.as_option().map(|m| &m.context_info),
        base.audio_message.as_option().map(|m| &m.context_info),
        base.document_message.as_option().map(|m| &m.context_info),
        base.sticker_message.as_option().map(|m| &m.context_info),
        base.location_message.as_option().map(|m| &m.context_info),
        base.live_location_message.as_option().map(|m| &m.context_info),
        base.contact_message.as_option().map(|m| &m.context_info),
        base.contacts_array_message.as_option().map(|m| &m.context_info),
        polls(base).find_map(MessageField::as_option).map(|m| &m.context_info),
    ];
    contexts.into_iter().flatten().find_map(MessageField::as_option)
}

fn add_context(content: &mut Content, base: &wa::Message) {
    let Some(info) = context(base) else { return };
    content.reply_to = info.stanza_id.as_deref().and_then(clean_id).map(|id| QuotedMessage {
        id,
        sender: info.participant.as_deref().map(|jid| bounded(jid, MAX_NAME)),
    });
    let mentions = info.mentioned_jid.iter().take(MAX_MENTIONS);
    content.mentions = mentions.map(|jid| bounded(jid, MAX_NAME)).collect();
    if info.is_forwarded == Some(true) {
        content.flags.push(MessageFlag::Forwarded);
    }
}

/// Adds the encoded message, unless its body says all.
fn add_encoding(content: &mut Content, base: &wa::Message) {
    if is_plain_text(base) {
        return;
    }
    let mut stripped = base.clone();
    strip(&mut stripped);
    let bytes = waproto::codec::message_to_vec(&stripped);
    if bytes.len() > MAX_CONTENT {
        content.flags.push(MessageFlag::ContentTruncated);
    } else if !bytes.is_empty() {
        content.encoded = Some(Base64Bytes(bytes));
    }
}

/// Returns whether the message is a text without a quotation, mentions or a preview.
fn is_plain_text(base: &wa::Message) -> bool {
    base.conversation.is_some()
        || base.extended_text_message.as_option().is_some_and(|text| {
            let context = text.context_info.as_option();
            text.matched_text.is_none()
                && context.is_none_or(|c| c.stanza_id.is_none() && c.mentioned_jid.is_empty())
        })
}

/// Removes thumbnails, which are the largest part of most messages, and keys of groups.
fn strip(message: &mut wa::Message) {
    message.sender_key_distribution_message.take();
    message.fast_ratchet_key_sender_key_distribution_message.take();
    message.extended_text_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.image_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.video_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.ptv_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.document_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.location_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.live_location_message.modify_set(|m| m.jpeg_thumbnail = None);
    message.sticker_message.modify_set(|m| m.png_thumbnail = None);
}

/// Changes a field only if it is set.
trait ModifySet<T> {
    fn modify_set(&mut self, change: impl FnOnce(&mut T));
}

impl<T: Default> ModifySet<T> for MessageField<T> {
    fn modify_set(&mut self, change: impl FnOnce(&mut T)) {
        if let Some(value) = self.as_option_mut() {
            change(value);
        }
    }
}

impl Content {
    fn set_body(&mut self, body: Option<String>) {
        let Some(body) = body else { return };
        let (body, truncated) = clean_body(body);
        self.body = Some(body);
        if truncated {
            self.flags.push(MessageFlag::BodyTruncated);
        }
    }
}

//! Properties of kinds of events, and the parts of payloads that expire.

use crate::{
    caller::Capability,
    event::{
        fields::{EventField, EventFields, EventValue},
        message_fields::{ContentFields, value_of},
        payload::{EventName, EventPayload},
        stream::EventStream,
    },
    message::{details::MessageDetails, message_id::MessageId},
    time::Timestamp,
};

impl EventName {
    /// Returns the capability that a reader of the kind needs. The codes of `auth.qr` and
    /// `auth.code` link a device.
    pub const fn capability(self) -> Capability {
        match self {
            Self::Message
            | Self::MessageStatusChanged
            | Self::MessageUndecryptable
            | Self::ChatUpdated => Capability::Read,
            _ => Capability::Manage,
        }
    }

    /// Returns the stream that numbers events of the kind.
    pub const fn stream(self) -> EventStream {
        match self {
            Self::Message
            | Self::MessageStatusChanged
            | Self::MessageUndecryptable
            | Self::ChatUpdated
            | Self::SessionMessagesDeleted => EventStream::Messages,
            _ => EventStream::Session,
        }
    }

    /// Whether the audit log keeps events of the kind after the feed has removed them: events that say
    /// who did what to what. The other kinds are progress reports of connections and pairing
    /// attempts, and events of messages.
    pub const fn is_retained_for_audit(self) -> bool {
        match self {
            Self::SessionStatus
            | Self::AuthQr
            | Self::AuthCode
            | Self::AuthExpired
            | Self::Message
            | Self::MessageStatusChanged
            | Self::MessageUndecryptable
            | Self::ChatUpdated
            | Self::SessionMessagesDeleted => false,
            Self::SessionCreated
            | Self::SessionRequested
            | Self::SessionUpdated
            | Self::SessionDeleted
            | Self::SessionRetired
            | Self::AuthPaired
            | Self::LinkCreated
            | Self::LinkOpened
            | Self::LinkUsed
            | Self::LinkRevoked
            | Self::ApiKeyCreated
            | Self::ApiKeyRevoked
            | Self::WebhookCreated
            | Self::WebhookUpdated
            | Self::WebhookDeleted
            | Self::WebhookDisabled
            | Self::WebhookGap
            | Self::WebhookPing => true,
        }
    }

    /// Returns the kind with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl EventPayload {
    /// Returns the payload with these stored fields: of its kind if [`Self::fields`] gives back the
    /// same fields, otherwise [`Self::Unrecognized`].
    pub fn from_fields(name: EventName, fields: EventFields) -> Self {
        match Self::parse(name, &fields) {
            Some(payload) if payload.fields() == fields => payload,
            _ => Self::Unrecognized { name, fields },
        }
    }

    /// Returns the message whose content the event shows. `None` for other kinds.
    pub fn message(&self) -> Option<MessageId> {
        match self {
            Self::Message { id, .. } => Some(MessageId(*id)),
            Self::Unrecognized { name: EventName::Message, fields } => {
                u64::from_value(value_of(fields, "id")).map(MessageId)
            }
            _ => None,
        }
    }

    /// Removes the content of a message from the payload, which a store keeps with the message.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        let (body, media, mentions, reply_to) = (None, None, Vec::new(), None);
        let fields = ContentFields { body, is_truncated: false, media, mentions, reply_to };
        self.set_content(fields, true);
        self
    }

    /// Adds the content of a message to a payload of [`Self::without_content`].
    pub fn add_content(&mut self, details: &MessageDetails) {
        self.set_content(ContentFields::of(details), false);
    }

    fn set_content(&mut self, content: ContentFields, is_removed: bool) {
        if let Self::Message { body, is_truncated, media, mentions, reply_to, removed, .. } = self {
            *body = content.body;
            *is_truncated = content.is_truncated;
            *media = content.media;
            *mentions = content.mentions;
            *reply_to = content.reply_to;
            *removed = is_removed;
        }
    }

    /// Returns the time at which the QR code or pairing code of the payload expires. `None` for
    /// other payloads.
    pub fn code_expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::AuthQr { expires_at, .. } | Self::AuthCode { expires_at, .. } => {
                Some(*expires_at)
            }
            Self::Unrecognized { name: EventName::AuthQr | EventName::AuthCode, fields } => {
                Timestamp::from_value(value_of(fields, "expiresAt"))
            }
            _ => None,
        }
    }

    /// Removes the QR code or pairing code. Returns whether the payload contained one.
    pub fn blank_code(&mut self) -> bool {
        match self {
            Self::AuthQr { code, .. } | Self::AuthCode { code, .. } => code.take().is_some(),
            Self::Unrecognized { name: EventName::AuthQr | EventName::AuthCode, fields } => {
                let code = fields.iter_mut().find(|(name, _)| name == "code");
                let blank = |(_, value): &mut (_, EventValue)| {
                    std::mem::replace(value, EventValue::Null) != EventValue::Null
                };
                code.is_some_and(blank)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &'static str, value: &str) -> (std::borrow::Cow<'static, str>, EventValue) {
        (key.into(), EventValue::Text(value.to_owned()))
    }

    #[test]
    fn fields_of_another_version_are_kept_as_stored() {
        for fields in [
            vec![],
            vec![text("unlink", "burned")],
            vec![("unlink".into(), EventValue::Number(1))],
            vec![text("unlink", "confirmed"), text("by", "phone")],
            vec![text("unlink", "confirmed"), text("unlink", "confirmed")],
        ] {
            let payload = EventPayload::from_fields(EventName::SessionRetired, fields.clone());
            let name = EventName::SessionRetired;
            assert_eq!(payload, EventPayload::Unrecognized { name, fields: fields.clone() });
            assert_eq!((payload.name(), payload.fields()), (name, fields));
        }
        let reordered = vec![text("desired", "running"), text("action", "pair")];
        let payload = EventPayload::from_fields(EventName::SessionRequested, reordered.clone());
        assert_eq!(payload.fields(), reordered);
    }

    #[test]
    fn codes_are_blanked_in_recognized_and_unrecognized_payloads() {
        let at = Timestamp::from_millis(7);
        let plain = EventPayload::AuthCode { code: Some("ABCD-1234".to_owned()), expires_at: at };
        let mut fields = plain.fields();
        fields.push(text("phone", "15551234567"));
        let newer = EventPayload::from_fields(EventName::AuthCode, fields.clone());
        for (mut payload, rest) in [(plain, 1), (newer, 2)] {
            assert_eq!(payload.code_expires_at(), Some(at));
            assert!(payload.blank_code());
            assert!(!payload.blank_code(), "blanked once");
            let blanked = payload.fields();
            assert_eq!(blanked[0], ("code".into(), EventValue::Null));
            assert_eq!(blanked[1..], fields[1..=rest]);
        }
        let mut other = EventPayload::from_fields(EventName::AuthExpired, fields);
        assert_eq!((other.code_expires_at(), other.blank_code()), (None, false));
    }
}

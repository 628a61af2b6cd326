//! Requests to send a message.

use std::time::Duration;

use crate::{
    message::reference::ChatReference,
    outbox::message_field::MessageField,
    time::Timestamp,
    violation::{FieldPath, Violation},
};

/// Maximum number of bytes of a text.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// Maximum duration of the typing indicator in milliseconds.
pub const MAX_TYPING_MILLIS: u32 = 25_000;
/// Maximum number of characters of a caller's reference.
pub const MAX_MESSAGE_REFERENCE: usize = 128;
/// Time after which a message is given up that was not handed over, without another request.
pub(crate) const DEFAULT_EXPIRY: Duration = Duration::from_secs(24 * 60 * 60);
/// Latest expiry from now.
const MAX_EXPIRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// The receiver.
    pub to: ChatReference,
    /// The text, 1 to [`MAX_TEXT_BYTES`] bytes.
    pub text: String,
    /// Time after which the message is not handed over. `None` is a day from now.
    pub expires_at: Option<Timestamp>,
    /// Duration of the typing indicator, at most [`MAX_TYPING_MILLIS`]. `None` for the setting of the
    /// session.
    pub typing_millis: Option<u32>,
    /// Text that events and lists repeat, 1 to [`MAX_MESSAGE_REFERENCE`] characters.
    pub reference: Option<String>,
}

impl NewMessage {
    /// Returns every violation that no lookup decides.
    pub fn violations(&self, now: Timestamp) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut add = |field, reason: String| {
            violations.push(Violation::new(FieldPath::Message(field), reason));
        };
        if is_group(&self.to) {
            add(MessageField::To, "groups cannot be addressed".to_owned());
        }
        if self.text.is_empty() || self.text.len() > MAX_TEXT_BYTES {
            add(MessageField::Text, format!("1 to {MAX_TEXT_BYTES} bytes in UTF-8"));
        }
        if let Some(at) = self.expires_at {
            if at <= now {
                add(MessageField::ExpiresAt, "must be in the future".to_owned());
            } else if at > now.plus(MAX_EXPIRY) {
                add(MessageField::ExpiresAt, "at most 7 days ahead".to_owned());
            }
        }
        if self.typing_millis.is_some_and(|millis| millis > MAX_TYPING_MILLIS) {
            add(MessageField::Typing, format!("at most {MAX_TYPING_MILLIS}"));
        }
        if let Some(reference) = &self.reference {
            let length = reference.chars().count();
            if length == 0 || length > MAX_MESSAGE_REFERENCE {
                add(MessageField::Reference, format!("1 to {MAX_MESSAGE_REFERENCE} characters"));
            }
        }
        // A text column of PostgreSQL cannot store the character.
        for (field, text) in [
            (MessageField::Text, Some(&self.text)),
            (MessageField::Reference, self.reference.as_ref()),
        ] {
            if text.is_some_and(|text| text.contains('\0')) {
                add(field, "text cannot contain the character U+0000".to_owned());
            }
        }
        violations
    }
}

fn is_group(to: &ChatReference) -> bool {
    matches!(to, ChatReference::Address(address) if address.is_group())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::address::ChatAddress;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn message() -> NewMessage {
        NewMessage {
            to: ChatReference::Digits("15551234567".to_owned()),
            text: "x".to_owned(),
            expires_at: None,
            typing_millis: None,
            reference: None,
        }
    }

    fn fields(message: &NewMessage) -> Vec<MessageField> {
        let field = |violation: Violation| match violation.field {
            FieldPath::Message(field) => field,
            other => panic!("{other:?}"),
        };
        message.violations(NOW).into_iter().map(field).collect()
    }

    #[test]
    fn bounds_are_checked_together() {
        assert_eq!(fields(&message()), []);
        let most = NewMessage {
            text: "é".repeat(MAX_TEXT_BYTES / 2),
            expires_at: Some(NOW.plus(MAX_EXPIRY)),
            typing_millis: Some(MAX_TYPING_MILLIS),
            reference: Some("é".repeat(MAX_MESSAGE_REFERENCE)),
            ..message()
        };
        assert_eq!(fields(&most), []);
        let wrong = NewMessage {
            to: ChatReference::Address(ChatAddress::Group("1".to_owned())),
            text: "é".repeat(MAX_TEXT_BYTES / 2 + 1),
            expires_at: Some(NOW),
            typing_millis: Some(MAX_TYPING_MILLIS + 1),
            reference: Some(String::new()),
        };
        let all = [
            MessageField::To,
            MessageField::Text,
            MessageField::ExpiresAt,
            MessageField::Typing,
            MessageField::Reference,
        ];
        assert_eq!(fields(&wrong), all);
        let nul =
            NewMessage { text: "a\0".to_owned(), reference: Some("\0".to_owned()), ..message() };
        assert_eq!(fields(&nul), [MessageField::Text, MessageField::Reference]);
    }
}

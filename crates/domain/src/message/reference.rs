//! References of callers to chats.

use crate::{chat::model::ChatId, message::address::ChatAddress};

/// Minimum number of digits of a phone number. Fewer digits are the id of a chat.
const MIN_PHONE_DIGITS: usize = 7;
/// Maximum number of digits of a phone number.
const MAX_PHONE_DIGITS: usize = 15;

const MALFORMED: &str = "must be a phone number with 7 to 15 digits, the id of a chat, or an address \
     that ends in @s.whatsapp.net, @lid or @g.us";

/// The chat that a caller names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChatReference {
    /// The id of a chat.
    Id(ChatId),
    /// A phone number as the caller writes it, digits only. Only WhatsApp knows the number that the
    /// account has: some countries have two forms of one number.
    Digits(String),
    /// An address.
    Address(ChatAddress),
}

impl ChatReference {
    /// Parses digits, `+digits`, an address, or the id of a chat.
    ///
    /// # Errors
    /// The rule that the text breaks, as a text for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(address) = ChatAddress::parse(text) {
            return Ok(Self::Address(address));
        }
        if let Some((_, server)) = text.split_once('@') {
            return Err(match server {
                "newsletter" => "channels cannot be addressed",
                "broadcast" => "broadcast lists and status updates cannot be addressed",
                _ => MALFORMED,
            });
        }
        let (digits, is_phone) = match text.strip_prefix('+') {
            Some(digits) => (digits, true),
            None => (text, text.len() >= MIN_PHONE_DIGITS),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MALFORMED);
        }
        let length = digits.len();
        match digits.parse() {
            _ if is_phone && (MIN_PHONE_DIGITS..=MAX_PHONE_DIGITS).contains(&length) => {
                Ok(Self::Digits(digits.to_owned()))
            }
            Ok(id) if !is_phone && !digits.starts_with('0') => Ok(Self::Id(ChatId(id))),
            _ => Err(MALFORMED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_is_an_id_digits_or_an_address() {
        let digits = |digits: &str| Ok(ChatReference::Digits(digits.to_owned()));
        assert_eq!(ChatReference::parse("15551234567"), digits("15551234567"));
        assert_eq!(ChatReference::parse("+15551234567"), digits("15551234567"));
        assert_eq!(ChatReference::parse("1234567"), digits("1234567"));
        assert_eq!(ChatReference::parse("123456"), Ok(ChatReference::Id(ChatId(123_456))));
        let address = ChatAddress::Lid("99".to_owned());
        assert_eq!(ChatReference::parse("99@lid"), Ok(ChatReference::Address(address)));
    }

    #[test]
    fn impossible_references_are_refused_with_a_reason() {
        for (text, word) in [
            ("120363000@newsletter", "channels"),
            ("status@broadcast", "broadcast"),
            ("1@broadcast", "broadcast"),
            ("", "phone number"),
            ("0", "phone number"),
            ("+123456", "phone number"),
            ("1234567890123456", "phone number"),
            ("+1 555 123 4567", "phone number"),
            ("٣٣٣٣٣٣٣٣", "phone number"),
            ("15551234567@c.us", "phone number"),
        ] {
            let reason = ChatReference::parse(text).unwrap_err();
            assert!(reason.contains(word), "{text}: {reason}");
        }
    }
}

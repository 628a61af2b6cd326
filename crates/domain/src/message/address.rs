//! Addresses of chats and people at WhatsApp.

use std::fmt;

/// Maximum number of digits of a phone number.
const MAX_PHONE_DIGITS: usize = 15;
/// Maximum number of digits of a private number.
const MAX_LID_DIGITS: usize = 20;
/// Maximum number of characters of a group's number.
const MAX_GROUP: usize = 64;

/// Address of a chat or of a person, without a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChatAddress {
    /// A person by phone number, digits only: `N@s.whatsapp.net`.
    Phone(String),
    /// A person by the private number of the account, digits only: `L@lid`.
    Lid(String),
    /// A group: `G@g.us`.
    Group(String),
}

impl ChatAddress {
    /// Parses an address. A device is ignored. `None` for any other kind of address.
    pub fn parse(text: &str) -> Option<Self> {
        let (user, server) = text.split_once('@')?;
        let user = user.split_once(':').map_or(user, |(user, _)| user);
        match server {
            "s.whatsapp.net" if is_number(user, MAX_PHONE_DIGITS) => {
                Some(Self::Phone(user.to_owned()))
            }
            "lid" if is_number(user, MAX_LID_DIGITS) => Some(Self::Lid(user.to_owned())),
            "g.us" if is_group(user) => Some(Self::Group(user.to_owned())),
            _ => None,
        }
    }

    /// Returns the phone number of a person, digits only.
    pub fn phone(&self) -> Option<&str> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::Lid(_) | Self::Group(_) => None,
        }
    }

    /// Returns true if the address is that of a group.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }
}

/// Writes the form that [`ChatAddress::parse`] reads.
impl fmt::Display for ChatAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(phone) => write!(f, "{phone}@s.whatsapp.net"),
            Self::Lid(lid) => write!(f, "{lid}@lid"),
            Self::Group(group) => write!(f, "{group}@g.us"),
        }
    }
}

fn is_number(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_group(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= MAX_GROUP && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_round_trips_without_its_device() {
        for (text, plain) in [
            ("15551234567@s.whatsapp.net", "15551234567@s.whatsapp.net"),
            ("15551234567:12@s.whatsapp.net", "15551234567@s.whatsapp.net"),
            ("9876543210:3@lid", "9876543210@lid"),
            ("15551234567-1400000000@g.us", "15551234567-1400000000@g.us"),
        ] {
            let address = ChatAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), plain);
            assert_eq!(ChatAddress::parse(plain), Some(address));
        }
    }

    #[test]
    fn other_texts_are_no_address() {
        for text in [
            "",
            "@lid",
            "15551234567",
            "+15551234567@s.whatsapp.net",
            "1555123456700000@s.whatsapp.net",
            "status@broadcast",
            "1@newsletter",
            "a@g.us",
            "15551234567@S.WHATSAPP.NET",
            "15551234567@c.us",
        ] {
            assert_eq!(ChatAddress::parse(text), None, "{text}");
        }
    }
}

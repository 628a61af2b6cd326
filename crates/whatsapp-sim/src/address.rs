//! Addresses of accounts and devices, by phone number or by LID (hidden id).

use serde::{Deserialize, Serialize};

/// The namespace of an address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// By phone number: `15550000001@s.whatsapp.net`.
    #[default]
    Pn,
    /// By LID, which does not reveal the number: `100000000000001@lid`.
    Lid,
}

/// The address of a device of a user. Device 0 is the phone; an address without a device is the
/// phone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) user: String,
    pub(crate) device: u32,
    pub(crate) addressing: Addressing,
}

impl Address {
    /// Parses the address of a user; `None` for groups, broadcast lists, servers and malformed
    /// addresses.
    pub(crate) fn parse(jid: &str) -> Option<Self> {
        let (name, server) = jid.split_once('@')?;
        let addressing = match server {
            "s.whatsapp.net" | "c.us" => Addressing::Pn,
            "lid" => Addressing::Lid,
            _ => return None,
        };
        let (name, device) = match name.split_once(':') {
            Some((name, device)) => (name, device.parse().ok()?),
            None => (name, 0),
        };
        let user = name.split('.').next().filter(|user| !user.is_empty())?;
        Some(Self { user: user.to_owned(), device, addressing })
    }

    /// Writes the address of a device.
    pub(crate) fn format(user: &str, device: u32, addressing: Addressing) -> String {
        let server = match addressing {
            Addressing::Pn => "s.whatsapp.net",
            Addressing::Lid => "lid",
        };
        if device == 0 { format!("{user}@{server}") } else { format!("{user}:{device}@{server}") }
    }
}

/// Returns the user of an address, or of a bare number with or without `+`.
pub(crate) fn user(jid: &str) -> &str {
    jid.trim_start_matches('+').split(['@', ':', '.']).next().unwrap_or(jid)
}

/// Returns the device of an address; 0 is the phone.
pub(crate) fn device(jid: &str) -> u32 {
    let name = jid.split('@').next().unwrap_or_default();
    name.split_once(':').and_then(|(_, device)| device.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_devices_are_parsed() {
        assert_eq!((user("1555:3@s.whatsapp.net"), device("1555:3@s.whatsapp.net")), ("1555", 3));
        assert_eq!((user("900@lid"), device("900@lid")), ("900", 0));
        assert_eq!((user("1555.0:7@s.whatsapp.net"), device("")), ("1555", 0));
        assert_eq!(user("+1555"), "1555");
    }

    #[test]
    fn address_round_trips() {
        for text in ["1555@s.whatsapp.net", "1555:3@s.whatsapp.net", "900@lid", "900:12@lid"] {
            let Address { user, device, addressing } = Address::parse(text).unwrap();
            assert_eq!(Address::format(&user, device, addressing), text);
        }
    }

    #[test]
    fn address_of_no_user_is_none() {
        for text in ["1203@g.us", "status@broadcast", "s.whatsapp.net", "@lid", "1:x@lid", "", "1@"]
        {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }
}

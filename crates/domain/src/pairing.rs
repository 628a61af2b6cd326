//! Linking a device: what was asked for, and the codes that are shown meanwhile.
//!
//! Decision: ADR 0007.

use crate::Timestamp;

/// A pairing attempt the owner asked for. QR codes are always offered, a code for typing only when
/// a phone is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingSpec {
    /// The epoch at which it began: names the attempt.
    pub attempt: u64,
    /// The phone to make a pairing code for: 7–15 digits.
    pub phone: Option<String>,
    /// The epoch at which that code was asked for: names the request.
    pub request: u64,
}

/// A pairing attempt under way, as the node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which one.
    pub attempt: u64,
    /// The QR code of the moment.
    pub qr: Option<QrCode>,
    /// The pairing code of the moment.
    pub code: Option<PairingCode>,
}

/// A QR code to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrCode {
    /// What the picture says.
    pub text: String,
    /// When the next one replaces it.
    pub expires_at: Timestamp,
    /// Which one of `of` it is, from 1.
    pub number: u32,
    /// How many there are before the attempt ends.
    pub of: u32,
}

/// A code to type on the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingCode {
    /// Eight characters without the dash.
    pub code: String,
    /// The request it answers.
    pub request: u64,
    /// The phone it is for.
    pub phone: String,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl PairingCode {
    /// As people read it: `ABCD-1234`.
    pub fn dashed(&self) -> String {
        match self.code.split_at_checked(4) {
            Some((left, right)) if !right.is_empty() => format!("{left}-{right}"),
            _ => self.code.clone(),
        }
    }
}

/// A linked device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Digits only.
    pub phone: String,
    /// `number:device@s.whatsapp.net`
    pub jid: String,
    /// `lid:device@lid`, the account's private address.
    pub lid: Option<String>,
    /// The device's number on the account.
    pub device: u32,
    /// The name the account shows.
    pub push_name: Option<String>,
}

/// The phone number of a pairing code request: 7–15 digits, as E.164 has them, without the plus. None
/// begins with 0, for no country code does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// `None` when it cannot be a phone number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        (digits && (7..=15).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_accepts_international_numbers_only() {
        for good in ["1555123", "15551234567", "999999999999999"] {
            assert_eq!(Phone::parse(good).as_ref().map(Phone::as_str), Some(good));
        }
        for bad in ["", "155512", "1234567890123456", "+15551234567", "1555 1234", "\u{661}555123"]
        {
            assert_eq!(Phone::parse(bad), None, "{bad:?}");
        }
        for national in ["015551234567", "0015551234567", "0000000"] {
            assert_eq!(Phone::parse(national), None, "{national}: with a leading 0");
        }
    }
}

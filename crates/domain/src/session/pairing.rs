//! Pairing: specs, attempts, codes and the linked device.
//!
//! Decision: ADR 0007.

use crate::time::Timestamp;

/// The pairing attempt that the owner asked for. QR codes are always offered. A pairing code
/// requires a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingSpec {
    /// Epoch at which the attempt began. Identifies the attempt.
    pub attempt: u64,
    /// The phone for the pairing code: 7 to 15 digits.
    pub phone: Option<String>,
    /// Epoch at which the pairing code was requested. Identifies the request.
    pub request: u64,
}

/// The present pairing attempt as the node reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Epoch at which the attempt began.
    pub attempt: u64,
    /// The current QR code.
    pub qr: Option<QrCode>,
    /// The current pairing code.
    pub code: Option<PairingCode>,
}

/// A QR code to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrCode {
    /// Content of the QR code.
    pub text: String,
    /// Time at which the code expires. The next one, if any, replaces it.
    pub expires_at: Timestamp,
    /// Number of the QR code within the attempt, from 1 to `of`.
    pub number: u32,
    /// Number of QR codes in the attempt.
    pub of: u32,
}

/// A pairing code to enter on the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingCode {
    /// Eight characters without the dash.
    pub code: String,
    /// Identifies the request that the code answers.
    pub request: u64,
    /// The phone that the code is for.
    pub phone: String,
    /// Time at which the code expires.
    pub expires_at: Timestamp,
}

impl PairingCode {
    /// Returns the display form `ABCD-1234`.
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
    /// Phone number, digits only.
    pub phone: String,
    /// Address of the device: `number:device@s.whatsapp.net`.
    pub jid: String,
    /// Private address of the account: `lid:device@lid`.
    pub lid: Option<String>,
    /// Number of the device within the account.
    pub device: u32,
    /// Name that the account shows.
    pub push_name: Option<String>,
}

/// Phone number of a pairing code request: 7 to 15 digits in E.164 form without the plus. Country
/// codes never begin with 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// Returns `None` if the text is not a phone number.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        (digits && (7..=15).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    /// Returns the digits.
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

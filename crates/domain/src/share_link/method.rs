//! Methods by which the holder of a share link can link a phone.

/// A method to link a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkMethod {
    /// The phone scans a QR code.
    Qr,
    /// The person types a pairing code on the phone.
    Code,
}

impl LinkMethod {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::Qr, Self::Code];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qr => "qr",
            Self::Code => "code",
        }
    }

    /// Returns the method with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

//! Causes for which a share link ends without having linked a phone.

/// The cause of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationCause {
    /// A caller revoked the link.
    Requested,
    /// A phone was linked to the session before any browser opened the link.
    Paired,
    /// The last pairing attempt that the link allows ended without a linked phone.
    Attempts,
}

impl RevocationCause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Requested, Self::Paired, Self::Attempts];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Paired => "paired",
            Self::Attempts => "attempts",
        }
    }

    /// Returns the cause with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
    }
}

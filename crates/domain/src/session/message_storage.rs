//! The setting of a session that says which parts of messages stay stored.

/// Which parts of a session's messages stay stored. Bodies of every mode are stored for a day at
/// least, so that streams and webhooks deliver them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MessageStorage {
    /// Whole messages, for the retention time.
    #[default]
    Full,
    /// Ids, times, kinds and levels for the retention time; bodies and contents for a day.
    Headers,
    /// Whole messages for a day.
    None,
}

impl MessageStorage {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::Full, Self::Headers, Self::None];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Headers => "headers",
            Self::None => "none",
        }
    }

    /// Returns the value with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|storage| storage.as_str() == text)
    }
}

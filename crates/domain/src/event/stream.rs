//! Streams of a session's events. Each stream numbers its events without gaps.

/// A numbered sequence of a session's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventStream {
    /// Events of the session itself, and events without a session.
    Session,
    /// Events of the session's chats and messages.
    Messages,
}

impl EventStream {
    /// Every stream.
    pub const ALL: [Self; 2] = [Self::Session, Self::Messages];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Messages => "messages",
        }
    }

    /// Returns the stream with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == text)
    }
}

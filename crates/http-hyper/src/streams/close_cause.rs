//! The causes for which a stream ends, as metric labels and `WebSocket` close codes.

/// The cause for which a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseCause {
    /// The client closed or left the connection.
    Client,
    /// The router stops.
    Stopping,
    /// The API key, the login token or the browser session has expired.
    Expired,
    /// The API key was revoked, or the browser session ended or acts for another organization.
    Revoked,
    /// The position is not in the feed, or no longer.
    Gone,
    /// The client did not read or did not answer pings, or the listener needed its connection.
    Stalled,
    /// The client broke the rules of the WebSocket protocol.
    Protocol,
    /// The client sent a large message, or too much.
    TooLarge,
    /// The credential, the organization or the router has its maximum number of streams.
    TooMany,
}

impl CloseCause {
    /// Returns the value of the metric label `reason`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Stopping => "stopping",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Gone => "gone",
            Self::Stalled => "stalled",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
        }
    }

    /// Returns the close code of a WebSocket (RFC 6455, 7.4). Codes from 4400 are berth's, after
    /// the HTTP status of the same meaning.
    pub(crate) const fn code(self) -> u16 {
        match self {
            Self::Client => 1000,
            Self::Stopping => 1001,
            Self::Protocol => 1002,
            Self::TooLarge => 1009,
            Self::Expired | Self::Revoked => 4401,
            Self::Stalled => 4408,
            Self::Gone => 4410,
            Self::TooMany => 4429,
        }
    }
}

//! Names of the settings of a session.

/// A setting that the owner of a session can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsField {
    /// [`Settings::label`](crate::Settings::label).
    Label,
    /// [`Settings::auto_read`](crate::Settings::auto_read).
    AutoRead,
    /// [`Settings::presence_typing`](crate::Settings::presence_typing).
    PresenceTyping,
    /// [`Settings::rate_per_min`](crate::Settings::rate_per_min).
    RatePerMin,
    /// [`Settings::rate_per_hour`](crate::Settings::rate_per_hour).
    RatePerHour,
    /// [`Settings::metadata`](crate::Settings::metadata).
    Metadata,
}

impl SettingsField {
    /// Returns the name of the field in the payload of the event `session.updated`. Events are stored
    /// with this name, so it never changes.
    pub const fn event_name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::AutoRead => "autoRead",
            Self::PresenceTyping => "presenceTyping",
            Self::RatePerMin => "ratePerMin",
            Self::RatePerHour => "ratePerHour",
            Self::Metadata => "metadata",
        }
    }
}

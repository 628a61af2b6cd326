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
    /// [`Settings::messages`](crate::Settings::messages).
    Messages,
    /// [`Settings::retention_days`](crate::Settings::retention_days).
    RetentionDays,
    /// [`Settings::metadata`](crate::Settings::metadata).
    Metadata,
}

impl SettingsField {
    /// Every setting.
    pub const ALL: [Self; 8] = [
        Self::Label,
        Self::AutoRead,
        Self::PresenceTyping,
        Self::RatePerMin,
        Self::RatePerHour,
        Self::Messages,
        Self::RetentionDays,
        Self::Metadata,
    ];

    /// Returns the stable name, as stored in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::AutoRead => "autoRead",
            Self::PresenceTyping => "presenceTyping",
            Self::RatePerMin => "ratePerMin",
            Self::RatePerHour => "ratePerHour",
            Self::Messages => "messages",
            Self::RetentionDays => "retentionDays",
            Self::Metadata => "metadata",
        }
    }

    /// Returns the setting with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == text)
    }
}

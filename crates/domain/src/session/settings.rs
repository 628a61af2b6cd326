//! Settings of a session and their bounds.

use std::collections::BTreeMap;

use crate::{
    session::{message_storage::MessageStorage, settings_field::SettingsField},
    violation::{FieldPath, Violation},
};

/// Settings that the owner of a session can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name for people, at most 100 characters.
    pub label: Option<String>,
    /// Whether incoming messages are marked as read.
    pub auto_read: bool,
    /// Whether "typing…" is shown before a message is sent.
    pub presence_typing: bool,
    /// Maximum number of messages per minute. `None` is [`DEFAULT_RATE_PER_MIN`], 0 is no limit.
    pub rate_per_min: Option<u32>,
    /// Maximum number of messages per hour. `None` is [`DEFAULT_RATE_PER_HOUR`], 0 is no limit.
    pub rate_per_hour: Option<u32>,
    /// Which parts of messages stay stored.
    pub messages: MessageStorage,
    /// Days after which messages are removed, at most [`MAX_RETENTION_DAYS`]. 0 is never.
    pub retention_days: u32,
    /// Free data of the owner: at most 20 keys of 1 to 40 characters with values of at most 500
    /// characters.
    pub metadata: BTreeMap<String, String>,
}

/// A partial change of settings with the semantics of a merge patch (RFC 7396). `None` keeps a
/// setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// `Some(None)` removes the label.
    pub label: Option<Option<String>>,
    /// New value of [`Settings::auto_read`].
    pub auto_read: Option<bool>,
    /// New value of [`Settings::presence_typing`].
    pub presence_typing: Option<bool>,
    /// `Some(None)` restores the default.
    pub rate_per_min: Option<Option<u32>>,
    /// `Some(None)` restores the default.
    pub rate_per_hour: Option<Option<u32>>,
    /// `Some(None)` restores the default.
    pub messages: Option<Option<MessageStorage>>,
    /// `Some(None)` restores the default.
    pub retention_days: Option<Option<u32>>,
    /// Whether existing metadata is removed first.
    pub clear_metadata: bool,
    /// Keys to set. `None` removes a key; other keys stay.
    pub metadata: BTreeMap<String, Option<String>>,
}

/// Highest rate limit that can be set.
pub const MAX_RATE: u32 = 100_000;
/// Maximum number of messages per minute without a setting.
pub const DEFAULT_RATE_PER_MIN: u32 = 20;
/// Maximum number of messages per hour without a setting.
pub const DEFAULT_RATE_PER_HOUR: u32 = 600;
/// Days after which messages are removed, without a setting.
pub const DEFAULT_RETENTION_DAYS: u32 = 90;
/// Maximum number of days for which messages stay, unless they stay for ever.
pub const MAX_RETENTION_DAYS: u32 = 3650;

/// Maximum number of characters of a label.
pub const MAX_LABEL: usize = 100;
/// Maximum number of metadata keys.
pub const MAX_METADATA: usize = 20;
/// Maximum number of characters of a metadata key. The minimum is 1.
pub const MAX_METADATA_KEY: usize = 40;
/// Maximum number of characters of a metadata value.
pub const MAX_METADATA_VALUE: usize = 500;

impl Default for Settings {
    fn default() -> Self {
        Self {
            label: None,
            auto_read: false,
            presence_typing: false,
            rate_per_min: None,
            rate_per_hour: None,
            messages: MessageStorage::default(),
            retention_days: DEFAULT_RETENTION_DAYS,
            metadata: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Returns the settings with the patch applied.
    #[must_use]
    pub fn patched(mut self, patch: SettingsPatch) -> Self {
        if patch.clear_metadata {
            self.metadata.clear();
        }
        for (key, value) in patch.metadata {
            match value {
                Some(value) => drop(self.metadata.insert(key, value)),
                None => drop(self.metadata.remove(&key)),
            }
        }
        Self {
            label: patch.label.unwrap_or(self.label),
            auto_read: patch.auto_read.unwrap_or(self.auto_read),
            presence_typing: patch.presence_typing.unwrap_or(self.presence_typing),
            rate_per_min: patch.rate_per_min.unwrap_or(self.rate_per_min),
            rate_per_hour: patch.rate_per_hour.unwrap_or(self.rate_per_hour),
            messages: patch.messages.map_or(self.messages, Option::unwrap_or_default),
            retention_days: patch
                .retention_days
                .map_or(self.retention_days, |days| days.unwrap_or(DEFAULT_RETENTION_DAYS)),
            metadata: self.metadata,
        }
    }

    /// Returns the settings in which `self` and `other` differ.
    pub fn differing(&self, other: &Self) -> Vec<SettingsField> {
        let mut fields = Vec::new();
        let mut compare = |field, is_equal: bool| {
            if !is_equal {
                fields.push(field);
            }
        };
        compare(SettingsField::Label, self.label == other.label);
        compare(SettingsField::AutoRead, self.auto_read == other.auto_read);
        compare(SettingsField::PresenceTyping, self.presence_typing == other.presence_typing);
        compare(SettingsField::RatePerMin, self.rate_per_min == other.rate_per_min);
        compare(SettingsField::RatePerHour, self.rate_per_hour == other.rate_per_hour);
        compare(SettingsField::Messages, self.messages == other.messages);
        compare(SettingsField::RetentionDays, self.retention_days == other.retention_days);
        compare(SettingsField::Metadata, self.metadata == other.metadata);
        fields
    }

    /// Returns every violation of the bounds of settings. The list is empty if the settings are valid.
    pub fn violations(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut add = |field, reason: String| violations.push(Violation::new(field, reason));
        if self.label.as_ref().is_some_and(|label| label.chars().count() > MAX_LABEL) {
            let field = FieldPath::Setting(SettingsField::Label);
            add(field, format!("at most {MAX_LABEL} characters"));
        }
        for (field, rate) in [
            (SettingsField::RatePerMin, self.rate_per_min),
            (SettingsField::RatePerHour, self.rate_per_hour),
        ] {
            if rate.is_some_and(|rate| rate > MAX_RATE) {
                add(FieldPath::Setting(field), format!("between 0 and {MAX_RATE}"));
            }
        }
        if self.retention_days > MAX_RETENTION_DAYS {
            let field = FieldPath::Setting(SettingsField::RetentionDays);
            add(field, format!("between 0 and {MAX_RETENTION_DAYS}"));
        }
        if self.metadata.len() > MAX_METADATA {
            let field = FieldPath::Setting(SettingsField::Metadata);
            add(field, format!("at most {MAX_METADATA} keys"));
        }
        for (key, value) in &self.metadata {
            let entry = || FieldPath::MetadataEntry(key.clone());
            if key.is_empty() || key.chars().count() > MAX_METADATA_KEY {
                add(entry(), format!("a key has 1 to {MAX_METADATA_KEY} characters"));
            }
            if value.chars().count() > MAX_METADATA_VALUE {
                add(entry(), format!("a value has at most {MAX_METADATA_VALUE} characters"));
            }
        }
        // A text column of PostgreSQL cannot store the character.
        let texts = self.metadata.iter().flat_map(|(k, v)| [k, v]).chain(&self.label);
        if texts.into_iter().any(|text| text.contains('\0')) {
            add(FieldPath::Settings, "text cannot contain the character U+0000".to_owned());
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_reported_together() {
        let settings = Settings {
            label: Some("x".repeat(101)),
            rate_per_min: Some(MAX_RATE + 2),
            rate_per_hour: Some(MAX_RATE + 1),
            retention_days: MAX_RETENTION_DAYS + 1,
            metadata: [("a/b".to_owned(), "v".repeat(501)), ("k".repeat(41), String::new())].into(),
            ..Settings::default()
        };
        let fields: Vec<_> = settings.violations().into_iter().map(|v| v.field).collect();
        let expected = [
            FieldPath::Setting(SettingsField::Label),
            FieldPath::Setting(SettingsField::RatePerMin),
            FieldPath::Setting(SettingsField::RatePerHour),
            FieldPath::Setting(SettingsField::RetentionDays),
            FieldPath::MetadataEntry("a/b".to_owned()),
            FieldPath::MetadataEntry("k".repeat(41)),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn patch_changes_named_settings_only() {
        let before = Settings {
            label: Some("old".to_owned()),
            auto_read: true,
            rate_per_min: Some(5),
            metadata: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into(),
            ..Settings::default()
        };
        assert_eq!(before.clone().patched(SettingsPatch::default()), before);
        let patch = SettingsPatch {
            label: Some(None),
            rate_per_min: Some(Some(7)),
            metadata: [("a".to_owned(), None), ("c".to_owned(), Some("3".to_owned()))].into(),
            ..SettingsPatch::default()
        };
        let after = before.clone().patched(patch);
        let metadata = [("b".to_owned(), "2".to_owned()), ("c".to_owned(), "3".to_owned())].into();
        let expected = Settings { label: None, rate_per_min: Some(7), metadata, ..before.clone() };
        assert_eq!(after, expected);
        let differing = [SettingsField::Label, SettingsField::RatePerMin, SettingsField::Metadata];
        assert_eq!(after.differing(&before), differing);
        let cleared =
            after.patched(SettingsPatch { clear_metadata: true, ..SettingsPatch::default() });
        assert!(cleared.metadata.is_empty());
    }

    #[test]
    fn removed_settings_of_messages_are_defaults() {
        let before = Settings {
            messages: MessageStorage::Headers,
            retention_days: 0,
            rate_per_min: Some(0),
            ..Settings::default()
        };
        assert!(before.violations().is_empty());
        let patch = SettingsPatch {
            messages: Some(None),
            retention_days: Some(None),
            ..SettingsPatch::default()
        };
        let after = before.clone().patched(patch);
        assert_eq!((after.messages, after.retention_days), (MessageStorage::Full, 90));
        let differing = [SettingsField::Messages, SettingsField::RetentionDays];
        assert_eq!(after.differing(&before), differing);
    }

    #[test]
    fn length_limits_count_characters() {
        let settings = Settings { label: Some("ü".repeat(100)), ..Settings::default() };
        assert!(settings.violations().is_empty());
    }
}

//! What the owner of a session may set, and within which bounds.

use std::collections::BTreeMap;

use crate::Violation;

/// What the owner sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A name for people, at most 100 characters.
    pub label: Option<String>,
    /// Mark incoming messages as read.
    pub auto_read: bool,
    /// Show "typing…" before a message is sent.
    pub presence_typing: bool,
    /// At most so many messages a minute.
    pub rate_per_min: Option<u32>,
    /// At most so many messages an hour.
    pub rate_per_hour: Option<u32>,
    /// The owner's own notes: at most 20 keys of 1–40 characters, values of at most 500.
    pub metadata: BTreeMap<String, String>,
}

/// Which settings to change; `None` leaves one as it is. As a JSON merge patch says it (RFC 7396).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsPatch {
    /// `Some(None)` takes the label away.
    pub label: Option<Option<String>>,
    /// On or off.
    pub auto_read: Option<bool>,
    /// On or off.
    pub presence_typing: Option<bool>,
    /// `Some(None)` takes the limit away.
    pub rate_per_min: Option<Option<u32>>,
    /// `Some(None)` takes the limit away.
    pub rate_per_hour: Option<Option<u32>>,
    /// Empties the metadata first.
    pub clear_metadata: bool,
    /// Keys to set, and with `None` to take away; others stay.
    pub metadata: BTreeMap<String, Option<String>>,
}

/// The highest rate that can be set; above it a limit means nothing.
pub const MAX_RATE: u32 = 100_000;

/// How many characters a label can have.
pub const MAX_LABEL: usize = 100;
/// How many keys there can be in the metadata.
pub const MAX_METADATA: usize = 20;
/// How many characters such a key can have; it has at least one.
pub const MAX_METADATA_KEY: usize = 40;
/// How many characters its value can have.
pub const MAX_METADATA_VALUE: usize = 500;

impl Settings {
    /// These settings with the patch applied.
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
            metadata: self.metadata,
        }
    }

    /// The names, in the API's spelling, of what differs from `other`.
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let mut names = Vec::new();
        let mut compare = |name, same: bool| {
            if !same {
                names.push(name);
            }
        };
        compare("label", self.label == other.label);
        compare("autoRead", self.auto_read == other.auto_read);
        compare("presenceTyping", self.presence_typing == other.presence_typing);
        compare("ratePerMin", self.rate_per_min == other.rate_per_min);
        compare("ratePerHour", self.rate_per_hour == other.rate_per_hour);
        compare("metadata", self.metadata == other.metadata);
        names
    }

    /// Everything that is out of bounds; empty when all is well. Fields are JSON pointers in the
    /// API's spelling.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.label.as_ref().is_some_and(|label| label.chars().count() > MAX_LABEL) {
            found.push(Violation::new("/label", "at most 100 characters"));
        }
        for (field, rate) in
            [("/ratePerMin", self.rate_per_min), ("/ratePerHour", self.rate_per_hour)]
        {
            if rate.is_some_and(|rate| rate == 0 || rate > MAX_RATE) {
                found.push(Violation::new(field, format!("between 1 and {MAX_RATE}")));
            }
        }
        if self.metadata.len() > MAX_METADATA {
            found.push(Violation::new("/metadata", "at most 20 keys"));
        }
        for (key, value) in &self.metadata {
            let pointer = || format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
            if key.is_empty() || key.chars().count() > MAX_METADATA_KEY {
                found.push(Violation::new(pointer(), "a key has 1 to 40 characters"));
            }
            if value.chars().count() > MAX_METADATA_VALUE {
                found.push(Violation::new(pointer(), "a value has at most 500 characters"));
            }
        }
        // PostgreSQL text cannot hold it, and nothing readable needs it.
        let texts = self.metadata.iter().flat_map(|(k, v)| [k, v]).chain(&self.label);
        if texts.into_iter().any(|text| text.contains('\0')) {
            found.push(Violation::new("", "text cannot contain the character U+0000"));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_reported_together() {
        let settings = Settings {
            label: Some("x".repeat(101)),
            rate_per_min: Some(0),
            rate_per_hour: Some(MAX_RATE + 1),
            metadata: [("a/b".to_owned(), "v".repeat(501)), ("k".repeat(41), String::new())].into(),
            ..Settings::default()
        };
        let fields: Vec<_> = settings.violations().into_iter().map(|v| v.field).collect();
        let long = format!("/metadata/{}", "k".repeat(41));
        assert_eq!(fields, ["/label", "/ratePerMin", "/ratePerHour", "/metadata/a~1b", &long]);
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
        assert_eq!(after.differing(&before), ["label", "ratePerMin", "metadata"]);
        let cleared =
            after.patched(SettingsPatch { clear_metadata: true, ..SettingsPatch::default() });
        assert!(cleared.metadata.is_empty());
    }

    #[test]
    fn length_limits_count_characters() {
        let settings = Settings { label: Some("ü".repeat(100)), ..Settings::default() };
        assert!(settings.violations().is_empty());
    }
}

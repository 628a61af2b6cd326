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

/// The highest rate that can be set; above it a limit means nothing.
pub const MAX_RATE: u32 = 100_000;

const MAX_LABEL: usize = 100;
const MAX_METADATA: usize = 20;
const MAX_KEY: usize = 40;
const MAX_VALUE: usize = 500;

impl Settings {
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
            if key.is_empty() || key.chars().count() > MAX_KEY {
                found.push(Violation::new(pointer(), "a key has 1 to 40 characters"));
            }
            if value.chars().count() > MAX_VALUE {
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
    fn every_fault_is_named_at_once() {
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
    fn bounds_count_characters_not_bytes() {
        let settings = Settings { label: Some("ü".repeat(100)), ..Settings::default() };
        assert!(settings.violations().is_empty());
    }
}

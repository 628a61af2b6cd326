//! The members of a JSON object, taken out one by one; what is wrong with them adds up.
//!
//! Decision: ADR 0009.

use std::collections::BTreeMap;

use domain::{Timestamp, Violation};

use crate::request::json::{Json, pointer_to};

/// The last moment that is taken: the end of the year 9999, as most clocks and calendars have it.
pub(crate) const MAX_TIMESTAMP_MILLIS: i64 = 253_402_300_799_999;

/// A JSON object that is being read.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    members: BTreeMap<String, Json>,
    faults: Vec<Violation>,
}

impl Fields {
    /// The object in `text`; no text is an empty object.
    pub(crate) fn parse(text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        match Json::parse(text) {
            Ok(json) => {
                let faults = json.repetitions();
                match json {
                    Json::Object(members) => {
                        Self { members: members.into_iter().collect(), faults }
                    }
                    _ => Self::invalid(Violation::new("", "must be an object")),
                }
            }
            Err(fault) => Self::invalid(fault),
        }
    }

    /// Text; `None` when absent or null.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name)? {
            Json::Null => None,
            Json::Text(text) => Some(text),
            _ => self.fault(name, "must be a string or null"),
        }
    }

    /// Text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name) {
            Some(Json::Text(text)) => Some(text),
            Some(_) => self.fault(name, "must be a string"),
            // Nothing can be said of the members of what is no object.
            None if self.faults.iter().any(|fault| fault.field.is_empty()) => None,
            None => self.fault(name, "is required"),
        }
    }

    /// True or false; `None` when absent.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.members.remove(name)? {
            Json::Flag(flag) => Some(flag),
            _ => self.fault(name, "must be true or false"),
        }
    }

    /// A whole number between 1 and `most`; `None` when absent or null.
    pub(crate) fn count(&mut self, name: &str, most: u32) -> Option<u32> {
        match self.members.remove(name)? {
            Json::Null => None,
            Json::Whole(number) if (1..=i128::from(most)).contains(&number) => {
                u32::try_from(number).ok()
            }
            _ => self.fault(name, format!("must be a whole number between 1 and {most}, or null")),
        }
    }

    /// An object whose values are text; empty when absent.
    pub(crate) fn texts(&mut self, name: &str) -> BTreeMap<String, String> {
        let members = match self.members.remove(name) {
            None => Vec::new(),
            Some(Json::Object(members)) => members,
            Some(_) => {
                let none: Option<()> = self.fault(name, "must be an object of strings");
                debug_assert!(none.is_none());
                Vec::new()
            }
        };
        let mut texts = BTreeMap::new();
        for (key, value) in members {
            if let Json::Text(text) = value {
                texts.insert(key, text);
            } else {
                let pointer = pointer_to(&pointer_to("", name), &key);
                self.faults.push(Violation::new(pointer, "must be a string"));
            }
        }
        texts
    }

    /// Text to set, `Some(None)` for null: to take away; `None` when absent.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn text_change(&mut self, name: &str) -> Option<Option<String>> {
        self.has(name).then(|| self.text(name))
    }

    /// A whole number to set, `Some(None)` for null: to take away; `None` when absent.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn count_change(&mut self, name: &str, most: u32) -> Option<Option<u32>> {
        self.has(name).then(|| self.count(name, most))
    }

    /// What to do to an object whose values are text, key by key. `None` for null: to empty it.
    pub(crate) fn texts_change(&mut self, name: &str) -> Option<BTreeMap<String, Option<String>>> {
        let members = match self.members.remove(name) {
            None => return Some(BTreeMap::new()),
            Some(Json::Null) => return None,
            Some(Json::Object(members)) => members,
            Some(_) => return self.fault(name, "must be an object of strings and nulls, or null"),
        };
        let mut changes = BTreeMap::new();
        for (key, value) in members {
            match value {
                Json::Text(text) => drop(changes.insert(key, Some(text))),
                Json::Null => drop(changes.insert(key, None)),
                _ => {
                    let pointer = pointer_to(&pointer_to("", name), &key);
                    self.faults.push(Violation::new(pointer, "must be a string or null"));
                }
            }
        }
        Some(changes)
    }

    /// A moment in epoch milliseconds; `None` when absent or null.
    pub(crate) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let millis = match self.members.remove(name)? {
            Json::Null => return None,
            Json::Whole(number) => i64::try_from(number).ok(),
            _ => None,
        };
        match millis.filter(|millis| *millis <= MAX_TIMESTAMP_MILLIS) {
            Some(millis) => Some(Timestamp::from_millis(millis)),
            None => self
                .fault(name, "must be a moment in epoch milliseconds up to the year 9999, or null"),
        }
    }

    /// A list of texts, each with its place; `None` when absent or null.
    pub(crate) fn list(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let items = match self.members.remove(name)? {
            Json::Null => return None,
            Json::List(items) => items,
            _ => return self.fault(name, "must be a list of strings"),
        };
        let mut texts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let pointer = format!("{}/{index}", pointer_to("", name));
            match item {
                Json::Text(text) => texts.push((pointer, text)),
                _ => self.faults.push(Violation::new(pointer, "must be a string")),
            }
        }
        Some(texts)
    }

    /// As [`Self::add_faults`], but nothing of what has a fault already, or is in something that has.
    pub(crate) fn add_faults_of_valid_fields(&mut self, faults: Vec<Violation>) {
        let reported: Vec<_> = self.faults.iter().map(|fault| fault.field.clone()).collect();
        let sound = |fault: &Violation| {
            !reported
                .iter()
                .any(|reported| reported.is_empty() || reported.starts_with(&fault.field))
        };
        self.faults.extend(faults.into_iter().filter(sound));
    }

    /// Faults found by whoever knows more of the values than their types.
    pub(crate) fn add_faults(&mut self, faults: impl IntoIterator<Item = Violation>) {
        self.faults.extend(faults);
    }

    /// Every fault, those members included that nobody asked for.
    pub(crate) fn finish(mut self) -> Vec<Violation> {
        let unknown = self.members.into_keys();
        self.faults.extend(unknown.map(|name| Violation::new(pointer_to("", &name), "is unknown")));
        self.faults
    }

    fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    fn invalid(fault: Violation) -> Self {
        Self { members: BTreeMap::new(), faults: vec![fault] }
    }

    fn fault<T>(&mut self, name: &str, reason: impl Into<String>) -> Option<T> {
        self.faults.push(Violation::new(pointer_to("", name), reason));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_are_reported_at_once() {
        let text = br#"{"label":1,"on":"yes","rate":1.5,"map":{"a":"b","c":2},"x":0,"phone":null}"#;
        let mut fields = Fields::parse(text);
        assert_eq!(fields.text("label"), None);
        assert_eq!(fields.flag("on"), None);
        assert_eq!(fields.count("rate", 9), None);
        assert_eq!(fields.texts("map"), [("a".to_owned(), "b".to_owned())].into());
        assert_eq!(fields.required_text("phone"), None);
        assert_eq!(fields.required_text("name"), None);
        let found: Vec<_> = fields.finish().into_iter().map(|fault| fault.field).collect();
        assert_eq!(found, ["/label", "/on", "/rate", "/map/c", "/phone", "/name", "/x"]);
    }

    #[test]
    fn null_is_read_as_absent() {
        let mut fields = Fields::parse(br#"{"label":null,"rate":null}"#);
        assert_eq!((fields.text("label"), fields.count("rate", 9)), (None, None));
        assert!(fields.finish().is_empty());
    }

    #[test]
    fn document_that_is_no_object_has_one_fault() {
        for text in ["[]", "null", "\"a\"", "{", "7"] {
            let mut fields = Fields::parse(text.as_bytes());
            assert_eq!(fields.required_text("phone"), None);
            assert_eq!(fields.finish().len(), 1, "{text}");
        }
    }
}

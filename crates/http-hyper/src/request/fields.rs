//! Reads the members of a JSON object one by one and collects their faults.
//!
//! Decision: ADR 0009.

use std::{borrow::Cow, collections::BTreeMap};

use domain::Timestamp;
use percent_encoding::percent_decode_str;

use crate::{
    request::json::Json,
    response::violation::{Violation, pointer_to},
};

/// The latest accepted timestamp: the end of the year 9999, in epoch milliseconds.
pub(crate) const MAX_TIMESTAMP_MILLIS: i64 = 253_402_300_799_999;

/// A JSON object whose members are being read, with the faults so far.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    members: BTreeMap<String, Json>,
    faults: Vec<Violation>,
}

impl Fields {
    /// Parses the object in `text`. An empty text is an empty object.
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

    /// Parses the fields of a form (`application/x-www-form-urlencoded`) as texts.
    pub(crate) fn parse_form(text: &[u8]) -> Self {
        let mut fields = Self::default();
        let Ok(text) = std::str::from_utf8(text) else {
            return Self::invalid(Violation::new("", "must be UTF-8"));
        };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text: &str| {
                let text = text.replace('+', " ");
                percent_decode_str(&text).decode_utf8().ok().map(Cow::into_owned)
            };
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => {
                    if fields.members.insert(name.clone(), Json::Text(value)).is_some() {
                        fields
                            .faults
                            .push(Violation::new(pointer_to("", &name), "given more than once"));
                    }
                }
                _ => fields.faults.push(Violation::new("", "must be UTF-8")),
            }
        }
        fields
    }

    /// Takes a text; `None` when absent or null.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name)? {
            Json::Null => None,
            Json::Text(text) => Some(text),
            _ => self.fault(name, "must be a string or null"),
        }
    }

    /// Takes a required text; `None` with a fault.
    pub(crate) fn required_text(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name) {
            Some(Json::Text(text)) => Some(text),
            Some(_) => self.fault(name, "must be a string"),
            // A document that is not an object has no missing members.
            None if self.faults.iter().any(|fault| fault.field.is_empty()) => None,
            None => self.fault(name, "is required"),
        }
    }

    /// Takes a boolean; `None` when absent.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.members.remove(name)? {
            Json::Flag(flag) => Some(flag),
            _ => self.fault(name, "must be true or false"),
        }
    }

    /// Takes a whole number between 0 and `most`; `None` when absent or null.
    pub(crate) fn count(&mut self, name: &str, most: u32) -> Option<u32> {
        match self.members.remove(name)? {
            Json::Null => None,
            Json::Whole(number) if (0..=i128::from(most)).contains(&number) => {
                u32::try_from(number).ok()
            }
            _ => self.fault(name, format!("must be a whole number between 0 and {most}, or null")),
        }
    }

    /// Takes a whole number between 1 and `most`; `None` when absent.
    pub(crate) fn number(&mut self, name: &str, most: u32) -> Option<u32> {
        match self.members.remove(name)? {
            Json::Whole(number) if (1..=i128::from(most)).contains(&number) => {
                u32::try_from(number).ok()
            }
            _ => self.fault(name, format!("must be a whole number between 1 and {most}")),
        }
    }

    /// Takes a text that is one of `known`; `None` when absent.
    pub(crate) fn choice<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        known: &[&str],
    ) -> Option<T> {
        let value = match self.members.remove(name)? {
            Json::Text(text) => parse(&text),
            _ => None,
        };
        value.or_else(|| self.fault(name, format!("must be one of {}", known.join(", "))))
    }

    /// Takes a text that is one of `known`; `None` when absent or null.
    pub(crate) fn choice_or_null<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        known: &[&str],
    ) -> Option<T> {
        let value = match self.members.remove(name)? {
            Json::Null => return None,
            Json::Text(text) => parse(&text),
            _ => None,
        };
        value.or_else(|| self.fault(name, format!("must be one of {}, or null", known.join(", "))))
    }

    /// Takes the change of a text that is one of `known`: `None` when absent, `Some(None)` for null,
    /// which restores the default.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn choice_change<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        known: &[&str],
    ) -> Option<Option<T>> {
        self.has(name).then(|| self.choice_or_null(name, parse, known))
    }

    /// Takes the change of an object, whose members `read` takes: `None` when absent, `Some(None)`
    /// for null.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn object_change<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<Option<T>> {
        let members = match self.members.remove(name)? {
            Json::Null => return Some(None),
            Json::Object(members) => members,
            _ => return self.fault(name, "must be an object or null"),
        };
        let mut inner = Self { members: members.into_iter().collect(), faults: Vec::new() };
        let value = read(&mut inner);
        let outer = pointer_to("", name);
        let within =
            |fault: Violation| Violation::new(format!("{outer}{}", fault.field), fault.reason);
        self.faults.extend(inner.finish().into_iter().map(within));
        Some(Some(value))
    }

    /// Takes an object of texts; empty when absent.
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

    /// Takes the change of a text: `None` when absent, `Some(None)` for null, which removes the
    /// text.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn text_change(&mut self, name: &str) -> Option<Option<String>> {
        self.has(name).then(|| self.text(name))
    }

    /// Takes the change of a whole number: `None` when absent, `Some(None)` for null, which removes
    /// it.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn count_change(&mut self, name: &str, most: u32) -> Option<Option<u32>> {
        self.has(name).then(|| self.count(name, most))
    }

    /// Takes the changes of an object of texts, by key; a value of `None` removes the key. `None`
    /// as a whole for null, which removes every key.
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

    /// Takes a timestamp in epoch milliseconds; `None` when absent or null.
    pub(crate) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let millis = match self.members.remove(name)? {
            Json::Null => return None,
            Json::Whole(number) => i64::try_from(number).ok(),
            _ => None,
        };
        match millis.filter(|millis| (0..=MAX_TIMESTAMP_MILLIS).contains(millis)) {
            Some(millis) => Some(Timestamp::from_millis(millis)),
            None => self
                .fault(name, "must be a moment in epoch milliseconds up to the year 9999, or null"),
        }
    }

    /// Takes a list of texts, each with its JSON pointer; `None` when absent or null.
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

    /// Takes the change of a list of texts: `None` when absent, `Some(None)` for null.
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    pub(crate) fn list_change(&mut self, name: &str) -> Option<Option<Vec<(String, String)>>> {
        self.has(name).then(|| self.list(name))
    }

    /// As [`Self::add_faults`], without faults at or above the position of a fault that is already
    /// known.
    pub(crate) fn add_faults_of_valid_fields(&mut self, faults: Vec<domain::Violation>) {
        let reported: Vec<_> = self.faults.iter().map(|fault| fault.field.clone()).collect();
        let sound = |fault: &Violation| {
            !reported
                .iter()
                .any(|reported| reported.is_empty() || reported.starts_with(&fault.field))
        };
        self.faults.extend(faults.into_iter().map(Violation::from).filter(sound));
    }

    /// Adds faults of values that have the right type.
    pub(crate) fn add_faults(&mut self, faults: impl IntoIterator<Item = impl Into<Violation>>) {
        self.faults.extend(faults.into_iter().map(Into::into));
    }

    /// Returns every fault, with one for each member that was not taken.
    pub(crate) fn finish(mut self) -> Vec<Violation> {
        let unknown = self.members.into_keys();
        self.faults.extend(unknown.map(|name| Violation::new(pointer_to("", &name), "is unknown")));
        self.faults
    }

    /// Returns whether a member that was not taken has this name.
    pub(crate) fn has(&self, name: &str) -> bool {
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

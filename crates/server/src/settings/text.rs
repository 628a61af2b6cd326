//! The types of setting values, and the cleaning of their texts (ADR 0033).

use program_settings::{InvisibleCharacter, clean, clean_lines};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::invalid::Invalid;

/// A boolean: `true` or `false` in the file, unchecked text from flags and variables.
#[derive(Clone, Debug)]
pub(crate) struct Switch(pub(crate) String);

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(|on| Self(on.to_string()))
    }
}

/// A number: an integer in the file, or text with a unit; unchecked text from flags and variables.
#[derive(Clone, Debug)]
pub(crate) struct Count(pub(crate) String);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NumberOrText::deserialize(deserializer).map(|given| match given {
            NumberOrText::Number(count) => Self(count.to_string()),
            NumberOrText::Text(text) => Self(text),
        })
    }
}

/// A text that may be JSON on several lines.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Document(pub(crate) SecretString);

/// A number in the file.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number, or text with a unit such as \"64MiB\"")]
enum NumberOrText {
    Number(i64),
    Text(String),
}

/// A setting that is given as text.
pub(super) trait Text: From<String> {
    fn text(&self) -> &str;

    fn clean(text: &str) -> Result<Option<&str>, InvisibleCharacter> {
        clean(text)
    }
}

impl Text for String {
    fn text(&self) -> &str {
        self
    }
}

impl Text for SecretString {
    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Text for Document {
    fn text(&self) -> &str {
        self.0.expose_secret()
    }

    fn clean(text: &str) -> Result<Option<&str>, InvisibleCharacter> {
        if text.trim_start().starts_with('{') { clean_lines(text) } else { clean(text) }
    }
}

/// Implements `From<String>` for setting types.
macro_rules! text {
    ($($kind:ident),*) => {$(
        impl From<String> for $kind {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
    )*};
}

text!(Switch, Count, Document);

impl Text for Switch {
    fn text(&self) -> &str {
        &self.0
    }
}

impl Text for Count {
    fn text(&self) -> &str {
        &self.0
    }
}

/// Cleans the value of a setting. Returns `None` for a blank value.
pub(super) fn cleaned<T: Text>(setting: &str, value: Option<T>) -> Result<Option<T>, Invalid> {
    let Some(value) = value else { return Ok(None) };
    let text = T::clean(value.text()).map_err(|invisible| Invalid::setting(setting, invisible))?;
    Ok(text.map(|text| T::from(text.to_owned())))
}

#[expect(clippy::unnecessary_wraps, reason = "a clap value parser may fail")]
/// Takes the text of a secret as given; the value parser of `clap`.
pub(crate) fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

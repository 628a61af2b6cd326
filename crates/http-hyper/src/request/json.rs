//! JSON values that keep repeated keys.
//!
//! A derived reader stops at the first fault, and the last of two equal keys wins. The API reports
//! every fault at once, and a repeated key is a fault.

use std::{collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::response::violation::{Violation, pointer_to};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Flag(bool),
    /// A whole number, also in the spelling `7.0` or `7e0`: JSON and JSON Schema have one type of
    /// number.
    Whole(i128),
    /// A number with a fraction, or beyond 64 bits.
    Fraction,
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses `text`.
    ///
    /// # Errors
    /// The text is not JSON in UTF-8.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Violation> {
        if std::str::from_utf8(text).is_err() {
            return Err(Violation::new("", "not UTF-8"));
        }
        serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Violation::new("", format!("not valid JSON, at line {line} column {column}"))
        })
    }

    /// Returns a fault for each key that occurs twice in one object, at any depth.
    pub(crate) fn repetitions(&self) -> Vec<Violation> {
        let mut repetitions = Vec::new();
        self.collect_repetitions("", &mut repetitions);
        repetitions
    }

    fn collect_repetitions(&self, pointer: &str, repetitions: &mut Vec<Violation>) {
        match self {
            Self::Object(members) => {
                let mut keys = HashSet::new();
                for (key, value) in members {
                    let pointer = pointer_to(pointer, key);
                    if !keys.insert(key) {
                        repetitions.push(Violation::new(&pointer, "given more than once"));
                    }
                    value.collect_repetitions(&pointer, repetitions);
                }
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.collect_repetitions(&format!("{pointer}/{index}"), repetitions);
                }
            }
            Self::Null | Self::Flag(_) | Self::Whole(_) | Self::Fraction | Self::Text(_) => {}
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

/// The largest float, 2^53, up to which every whole number is exact.
const MAX_EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        let whole = number.fract() == 0.0 && number.abs() <= MAX_EXACT_FLOAT;
        #[expect(clippy::cast_possible_truncation, reason = "whole, and exact up to there")]
        Ok(if whole { Json::Whole(number as i128) } else { Json::Fraction })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_found_at_any_depth() {
        let json = Json::parse(br#"{"a":1,"a":2,"b":[{"c/d":1,"c/d":1}]}"#).unwrap();
        let repetitions: Vec<_> = json.repetitions().into_iter().map(|fault| fault.field).collect();
        assert_eq!(repetitions, ["/a", "/b/0/c~1d"]);
    }

    #[test]
    fn invalid_json_is_one_fault_of_the_document() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{}x", "nul", "{'a':1}", "\"\\ud800\"", "1e999", "[1,]", &deep] {
            let fault = Json::parse(text.as_bytes()).unwrap_err();
            assert_eq!(fault.field, "", "{text:.20}");
        }
        assert_eq!(Json::parse(b"\"\xff\"").unwrap_err().reason, "not UTF-8");
        assert!(Json::parse(b"\xef\xbb\xbf{}").is_err());
    }

    #[test]
    fn numbers_are_whole_or_fractions() {
        let whole = |text: &str| Json::parse(text.as_bytes()).unwrap();
        assert_eq!(whole("-1"), Json::Whole(-1));
        assert_eq!(whole("18446744073709551615"), Json::Whole(u64::MAX.into()));
        for (text, number) in
            [("1.0", 1), ("1e2", 100), ("-0.0", 0), ("9007199254740992.0", 1 << 53)]
        {
            assert_eq!(whole(text), Json::Whole(number), "{text}");
        }
        for text in ["1.5", "1e-2", "18446744073709551616", "-0.5", "1e300", "9007199254740994.0"] {
            assert_eq!(whole(text), Json::Fraction, "{text}");
        }
    }
}

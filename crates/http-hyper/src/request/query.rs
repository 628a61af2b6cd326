//! Reads the query parameters of a request and collects their faults.

use std::{collections::BTreeMap, ops::RangeInclusive};

use domain::Timestamp;
use percent_encoding::percent_decode_str;

use crate::{request::fields::MAX_TIMESTAMP_MILLIS, response::violation::Violation};

/// A query whose parameters are being read, with the faults so far.
#[derive(Debug, Default)]
pub(crate) struct Query {
    values: BTreeMap<String, Vec<String>>,
    faults: Vec<Violation>,
}

impl Query {
    /// Parses `text`. Parameters other than `names` are faults.
    pub(crate) fn parse(text: &str, names: &[&str]) -> Self {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decoded(name).filter(|name| names.contains(&name.as_str())) else {
                // The fault names the parameter as written, because the decoded name may be no
                // UTF-8.
                query.faults.push(Violation::new(parameter(name), "is unknown"));
                continue;
            };
            match decoded(value) {
                None => query.fault(&name, "must be UTF-8"),
                Some(value) => query.values.entry(name).or_default().push(value),
            }
        }
        query
    }

    /// Takes a text; `None` when absent.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let values = self.texts(name);
        if values.len() > 1 {
            self.fault(name, "given more than once");
        }
        values.into_iter().next()
    }

    /// Takes all texts of a parameter that may be repeated.
    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        self.values.remove(name).unwrap_or_default()
    }

    /// Takes a whole number within `range`; `otherwise` when absent or with a fault.
    pub(crate) fn number(&mut self, name: &str, range: RangeInclusive<u32>, otherwise: u32) -> u32 {
        let Some(text) = self.text(name) else { return otherwise };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => number,
            _ => {
                let (least, most) = range.into_inner();
                self.fault(name, &format!("must be a whole number between {least} and {most}"));
                otherwise
            }
        }
    }

    /// Takes `true` or `false`; `None` when absent or with a fault.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.text(name)?.as_str() {
            "false" => Some(false),
            "true" => Some(true),
            _ => {
                self.fault(name, "must be true or false");
                None
            }
        }
    }

    /// Takes a time in epoch milliseconds; `None` when absent or with a fault.
    pub(crate) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(millis) if digits && millis <= MAX_TIMESTAMP_MILLIS => {
                Some(Timestamp::from_millis(millis))
            }
            _ => {
                self.fault(name, "must be a moment in epoch milliseconds up to the year 9999");
                None
            }
        }
    }

    /// Takes a text that is one of `known`; `None` when absent or with a fault.
    pub(crate) fn choice<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        known: &[&str],
    ) -> Option<T> {
        let value = parse(&self.text(name)?);
        if value.is_none() {
            self.fault(name, &format!("must be one of {}", known.join(", ")));
        }
        value
    }

    /// Adds a fault of a parameter.
    pub(crate) fn fault(&mut self, name: &str, reason: &str) {
        self.faults.push(Violation::new(name, reason));
    }

    /// Returns every fault.
    pub(crate) fn finish(self) -> Vec<Violation> {
        self.faults
    }
}

/// Returns the name of a parameter as faults show it: never with a leading `/`, which marks a
/// position in the body.
fn parameter(name: &str) -> String {
    let readable = name.trim_start_matches('/');
    if readable.is_empty() { "?".to_owned() } else { readable.to_owned() }
}

/// Decodes the encoding of HTML forms, in which `+` is a space; `None` when the result is not
/// UTF-8.
fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(String, String)> {
        let mut query = Query::parse(text, &["limit", "cursor"]);
        query.number("limit", 1..=200, 50);
        query.finish().into_iter().map(|fault| (fault.field, fault.reason)).collect()
    }

    #[test]
    fn limit_is_a_whole_number_within_bounds() {
        for good in ["", "limit=1", "limit=200", "limit=%32", "limit=007", "&&cursor=x&"] {
            assert_eq!(faults(good), [], "{good}");
        }
        let huge = format!("limit={}", "9".repeat(300));
        for bad in
            ["limit=0", "limit=201", "limit=-1", "limit=1.5", "limit=", "limit=+5", "limit", &huge]
        {
            assert_eq!(faults(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_faults() {
        assert_eq!(faults("limt=5")[0], ("limt".into(), "is unknown".into()));
        assert_eq!(faults("limit=5&limit=5")[0], ("limit".into(), "given more than once".into()));
        assert_eq!(faults("cursor=%ff")[0], ("cursor".into(), "must be UTF-8".into()));
        assert_eq!(faults("/a=1&%ff=1&=1").len(), 3);
        assert!(faults("/a=1&=1").iter().all(|(field, _)| !field.starts_with('/')));
    }
}

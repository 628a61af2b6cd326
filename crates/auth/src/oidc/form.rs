//! Forms as `application/x-www-form-urlencoded`, with `%20` for a blank so that a form is a query, too.

use std::fmt::Write as _;

/// Returns the form of these fields.
pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", encode_text(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Returns a text in which every byte except letters, digits and `-._~` is escaped.
pub(super) fn encode_text(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Writing to a `String` does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_characters_are_escaped() {
        let form =
            encode(&[("scope", "openid profile"), ("redirect_uri", "https://a.example/ü?x=1&y")]);
        assert_eq!(
            form,
            "scope=openid%20profile&redirect_uri=https%3A%2F%2Fa.example%2F%C3%BC%3Fx%3D1%26y"
        );
    }
}

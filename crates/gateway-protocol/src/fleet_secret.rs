//! [`FleetSecret`]: derives the tokens of nodes from one secret.
//!
//! Decision: ADR 0061.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The lengths of a usable secret, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 32..=512;
/// Binds the tokens to their purpose.
const PURPOSE: &[u8] = b"berth node token\0";

/// The secret of a fleet. `Debug` shows nothing of the secret.
#[derive(Clone)]
pub struct FleetSecret(Hmac<Sha256>);

/// The error for a text that is too short, too long or not visible ASCII. The message never contains
/// the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFleetSecret;

impl fmt::Display for InvalidFleetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be 32 to 512 visible ASCII characters, as `openssl rand -hex 32` prints")
    }
}

impl std::error::Error for InvalidFleetSecret {}

impl FleetSecret {
    /// Creates a secret from its text.
    ///
    /// # Errors
    /// [`InvalidFleetSecret`].
    pub fn new(text: &str) -> Result<Self, InvalidFleetSecret> {
        let is_usable =
            LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let key = Hmac::new_from_slice(text.as_bytes()).ok().filter(|_| is_usable);
        key.map(Self).ok_or(InvalidFleetSecret)
    }

    /// Returns the token of a node: the HMAC-SHA256 of its id, as 64 hexadecimal digits.
    pub fn token(&self, node: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        mac.update(node.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

impl fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FleetSecret")
    }
}

/// The ids of nodes that a pattern matches: `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePattern(String);

impl NodePattern {
    /// Creates a pattern of letters, digits, dots, dashes, underscores and `*`; `None` for other
    /// texts.
    pub fn parse(text: &str) -> Option<Self> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*".contains(&byte);
        let is_pattern = (1..=64).contains(&text.len()) && text.bytes().all(is_valid);
        is_pattern.then(|| Self(text.to_owned()))
    }

    /// Returns whether the pattern matches the whole id.
    pub fn matches(&self, node: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = node.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_depends_on_secret_and_node() {
        let [one, other] = ["1", "2"].map(|digit| FleetSecret::new(&digit.repeat(32)).unwrap());
        assert_eq!(one.token("gw-1"), one.clone().token("gw-1"));
        assert_eq!(one.token("gw-1").len(), 64);
        assert_ne!(one.token("gw-1"), one.token("gw-2"));
        assert_ne!(one.token("gw-1"), other.token("gw-1"));
        // Computed by `printf 'berth node token\0gw-1' | openssl dgst -sha256 -hmac 11111111111111111111111111111111`.
        assert_eq!(
            one.token("gw-1"),
            "76fadc5055dc87e7ebe83a4794103c32d8a0f704300609f06222bfdf65170a13"
        );
        for text in ["", "short", &"a b".repeat(20), &"x".repeat(513)] {
            assert_eq!(FleetSecret::new(text).unwrap_err(), InvalidFleetSecret);
        }
        assert_eq!(format!("{one:?}"), "FleetSecret");
    }

    #[test]
    fn pattern_matches_whole_ids() {
        for (pattern, node, matches) in [
            ("*", "anything", true),
            ("gw-*", "gw-1", true),
            ("gw-*", "gw-", true),
            ("gw-*", "xgw-1", false),
            ("gw-1", "gw-1", true),
            ("gw-1", "gw-10", false),
            ("*-eu", "gw-1-eu", true),
            ("gw-*-eu", "gw-1-us", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(
                NodePattern::parse(pattern).unwrap().matches(node),
                matches,
                "{pattern} {node}"
            );
        }
        for text in ["", "gw 1", "gw/*"] {
            assert_eq!(NodePattern::parse(text), None);
        }
    }
}

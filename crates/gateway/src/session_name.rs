//! The validated name of a session.

use std::sync::Arc;

/// The id of a session: 1 to 64 ASCII letters, digits and underscores; safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionName(Arc<str>);

impl SessionName {
    /// Parses a session id; `None` if it is not 1 to 64 ASCII letters, digits and underscores.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        fits.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_session_names_are_rejected() {
        for name in ["", "..", "a/b", "a.db", "a-b", "ä", "a\0", &"a".repeat(65)] {
            assert_eq!(SessionName::parse(name), None, "{name:?}");
        }
        assert!(SessionName::parse("sess_01JAbc").is_some());
    }
}

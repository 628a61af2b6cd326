//! JSON pointers (RFC 6901) into the claims of a token.

use serde_json::Value;

/// A JSON pointer (RFC 6901) into a token's claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

/// The text is not a JSON pointer.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a JSON pointer: write \"/org_id\" for a claim, \"/org/id\" for one within")]
pub struct PointerError(String);

impl Pointer {
    /// Parses a pointer.
    ///
    /// # Errors
    /// If the text does not begin with `/`, or has a `~` that is neither `~0` nor `~1`.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let mut escapes = text.split('~').skip(1);
        if text.starts_with('/') && escapes.all(|rest| rest.starts_with(['0', '1'])) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PointerError(text.to_owned()))
        }
    }

    /// Creates a pointer from a constant that is known to be valid.
    pub(super) fn constant(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the value at the pointer; `None` if the claims have no value there.
    pub(super) fn get<'a>(&self, claims: &'a Value) -> Option<&'a Value> {
        claims.pointer(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_begins_with_a_slash() {
        for good in ["/org_id", "/a/b", "/https:~1~1x~1y", "/a~0b", "/"] {
            assert!(Pointer::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "org_id", "$.org", "/a~", "/a~2", "a/b"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }
}

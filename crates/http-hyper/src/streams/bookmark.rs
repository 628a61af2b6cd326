//! Bookmarks: positions in the event feed that callers keep and give back, as encrypted text.
//!
//! All bookmarks have one length. A bookmark is valid for the organization of its stream, with any
//! filter.
//!
//! Decision: ADR 0046.

use std::sync::Arc;

use domain::{FeedPosition, OrganizationId};

use super::{
    sealer::{SealError, Sealer},
    start::StreamStart,
};

/// The beginning of every bookmark.
const PREFIX: &str = "cur_";
/// Bytes of a position.
const POSITION_BYTES: usize = 8;

/// Makes and reads bookmarks.
#[derive(Clone)]
pub(crate) struct Bookmarks(Arc<Sealer>);

impl Bookmarks {
    /// Creates the maker with this secret.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(Arc::new(Sealer::new(secret)))
    }

    /// Returns the bookmark of a position.
    ///
    /// # Errors
    /// The random source failed.
    pub(crate) fn seal(
        &self,
        organization: &OrganizationId,
        position: FeedPosition,
    ) -> Result<String, SealError> {
        let plain = position.number().to_be_bytes();
        Ok(format!("{PREFIX}{}", self.0.seal(&context(organization), &plain)?))
    }

    /// Reads a bookmark. A text of the right form that is no bookmark of the organization is an
    /// unknown position; `None` for any other text.
    pub(crate) fn read(&self, organization: &OrganizationId, text: &str) -> Option<StreamStart> {
        let sealed = Sealer::parse(text.strip_prefix(PREFIX)?, Some(POSITION_BYTES))?;
        let plain = self.0.open(&context(organization), sealed);
        let number = plain.and_then(|plain| plain.try_into().ok()).map(u64::from_be_bytes);
        Some(number.map_or(StreamStart::Unknown, |number| {
            StreamStart::Position(FeedPosition::from_number(number))
        }))
    }
}

fn context(organization: &OrganizationId) -> Vec<u8> {
    ["bookmark 1 ", organization.as_str()].concat().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmark_is_read_for_its_organization_only() {
        let bookmarks = Bookmarks::new(&[7; 32]);
        let [acme, zeta] = ["acme", "zeta"].map(|name| OrganizationId::parse(name).unwrap());
        let mut lengths = std::collections::BTreeSet::new();
        for number in [0, 7, u64::MAX] {
            let position = FeedPosition::from_number(number);
            let text = bookmarks.seal(&acme, position).unwrap();
            lengths.insert(text.len());
            assert_eq!(bookmarks.read(&acme, &text), Some(StreamStart::Position(position)));
            assert_eq!(bookmarks.read(&zeta, &text), Some(StreamStart::Unknown));
            let other = Bookmarks::new(&[8; 32]);
            assert_eq!(other.read(&acme, &text), Some(StreamStart::Unknown));
            for text in [&text[4..], &text[..text.len() - 1], &format!("{text}A"), "cur_", "cur_ü"]
            {
                assert_eq!(bookmarks.read(&acme, text), None, "{text}");
            }
        }
        assert_eq!(lengths.len(), 1, "the length tells nothing");
    }
}

//! Pages of a list: the requested page, and the cursor of the next page.

use crate::request::{
    cursor::{self, CursorPosition, ListIdentity},
    query::Query,
};

const MAX_LIMIT: u32 = 200;
const DEFAULT_LIMIT: u32 = 50;

/// A requested page of a list.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Maximum number of entries.
    pub(crate) limit: u32,
    /// The page starts after this position; `None` for the first page.
    pub(crate) after: Option<CursorPosition>,
    list: ListIdentity,
}

impl Page {
    /// Reads the parameters `limit` and `cursor`.
    pub(crate) fn read(query: &mut Query, list: ListIdentity) -> Self {
        let limit = query.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT);
        let after = query.text("cursor").and_then(|text| {
            let position = cursor::decode(&list, &text);
            if position.is_none() {
                query.fault("cursor", "was not issued by this list");
            }
            position
        });
        Self { limit, after, list }
    }

    /// Returns the number of entries to look up. One entry more than the page shows whether a next
    /// page exists.
    pub(crate) fn with_one_more(&self) -> u32 {
        self.limit + 1
    }

    /// Returns the entries of the page and the cursor of the next page.
    pub(crate) fn paginate<T>(
        &self,
        mut found: Vec<T>,
        position: impl Fn(&T) -> CursorPosition,
    ) -> (Vec<T>, Option<String>) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|thing| cursor::encode(&self.list, position(thing)));
        (found, next)
    }
}

//! Pages of a list: which one is asked for, and where the next one begins.

use crate::{
    request::cursor::{self, CursorPosition, ListIdentity},
    request::query::Query,
};

const MAX_LIMIT: u32 = 200;
const DEFAULT_LIMIT: u32 = 50;

/// Which page of which list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// At most so many on it.
    pub(crate) limit: u32,
    /// Strictly after this place.
    pub(crate) after: Option<CursorPosition>,
    list: ListIdentity,
}

impl Page {
    /// By the parameters `limit` and `cursor`.
    pub(crate) fn read(query: &mut Query, list: ListIdentity) -> Self {
        let limit = query.number("limit", 1..=MAX_LIMIT, DEFAULT_LIMIT);
        let after = query.text("cursor").and_then(|text| {
            let position = cursor::decode(&list, &text);
            if position.is_none() {
                query.fault("cursor", "is none that this list gave out");
            }
            position
        });
        Self { limit, after, list }
    }

    /// How many to look up: one more than is shown tells whether there is a next page.
    pub(crate) fn with_one_more(&self) -> u32 {
        self.limit + 1
    }

    /// The page of what was looked up for it, and the cursor of the next one.
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

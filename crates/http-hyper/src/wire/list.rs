//! Pages of a list, newest first.

use domain::{
    OrganizationId, Session,
    ports::{Position, SessionFilter, SessionPage},
};
use serde::Serialize;

use super::SessionView;
use crate::{cursor, query::Query};

const MOST: u32 = 200;
const USUAL: u32 = 50;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListView {
    /// What is on it.
    pub data: Vec<SessionView>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSpec {
    /// At most so many on it: 1–200, 50 when not told.
    pub limit: u32,
    organization: Option<OrganizationId>,
    after: Option<Position>,
}

impl PageSpec {
    /// An example: the query that asks for it.
    pub fn sample() -> &'static str {
        "limit=20"
    }

    pub(crate) fn read(query: &mut Query, organization: Option<&OrganizationId>) -> Self {
        let limit = query.number("limit", 1..=MOST, USUAL);
        let after = query.text("cursor").and_then(|text| {
            let position = organization.and_then(|whose| cursor::read(whose, &text));
            if position.is_none() {
                query.fault("cursor", "is none that this list gave out");
            }
            position
        });
        Self { limit, organization: organization.cloned(), after }
    }

    /// What to look up: one more than is shown tells whether there is a next page.
    pub(crate) fn with_one_more(&self) -> SessionPage {
        SessionPage {
            filter: SessionFilter::default(),
            after: self.after.clone(),
            limit: self.limit + 1,
        }
    }
}

impl ListView {
    /// An example.
    pub fn sample() -> Self {
        Self { data: vec![SessionView::sample()], next_cursor: None }
    }

    /// The page, of what was looked up for it.
    pub(crate) fn of(mut sessions: Vec<Session>, page: &PageSpec) -> Self {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = sessions.len() > limit;
        sessions.truncate(limit);
        let last = sessions.last().filter(|_| more).zip(page.organization.as_ref());
        let next_cursor = last.map(|(session, organization)| {
            let position = Position { created_at: session.created_at, id: session.id.clone() };
            cursor::write(organization, &position)
        });
        Self { data: sessions.iter().map(SessionView::of).collect(), next_cursor }
    }
}

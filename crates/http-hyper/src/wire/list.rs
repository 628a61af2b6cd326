//! Pages of a list, newest first.

use domain::{
    OrganizationId, Session, SessionId,
    ports::{Position, SessionFilter, SessionPage},
};
use serde::Serialize;

use super::SessionView;
use crate::{
    cursor::{List, Place},
    page::Page,
    query::Query,
};

/// One page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListView<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_cursor: Option<String>,
}

/// Which page of the sessions is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSpec {
    page: Page,
}

impl PageSpec {
    /// An example: the query that asks for it.
    pub fn sample() -> &'static str {
        "limit=20"
    }

    pub(crate) fn read(query: &mut Query, organization: Option<&OrganizationId>) -> Self {
        Self { page: Page::read(query, List::new("sessions", organization)) }
    }

    /// What to look up.
    pub(crate) fn wanted(&self) -> SessionPage {
        let after = self.page.after.map(|place| Position {
            created_at: place.created_at,
            id: SessionId::mint(place.bits),
        });
        let limit = self.page.with_one_more();
        SessionPage { filter: SessionFilter::default(), after, limit }
    }

    /// The page, of what was looked up for it.
    pub(crate) fn show(&self, sessions: Vec<Session>) -> ListView<SessionView> {
        let place =
            |session: &Session| Place { created_at: session.created_at, bits: session.id.bits() };
        let (sessions, next_cursor) = self.page.cut(sessions, place);
        ListView { data: sessions.iter().map(SessionView::of).collect(), next_cursor }
    }
}

impl ListView<SessionView> {
    /// An example.
    pub fn sample() -> Self {
        Self { data: vec![SessionView::sample()], next_cursor: None }
    }
}

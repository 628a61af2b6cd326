//! The responses of event streams: a page of events, and a ticket.

use serde::Serialize;
use utoipa::ToSchema;

use super::{event::EventView, example::example_is_sample};

/// A page of the event feed, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventFeedPage)]
pub struct EventFeedPageView {
    /// The events of the page, oldest first.
    pub data: Vec<EventView>,
    /// The bookmark after the page, to be given back as `after`; also after the newest event.
    pub next_cursor: String,
}

/// A ticket for one WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView {
    /// The text for the parameter `ticket`, which opens one WebSocket.
    pub ticket: String,
    /// The time after which the ticket is not accepted.
    pub expires_at: i64,
}

example_is_sample!(EventFeedPageView, TicketView);

impl EventFeedPageView {
    /// Returns an example.
    pub fn sample() -> Self {
        let next_cursor = "cur_B8a0yS2JYyTVN9mMdbGpRLv3pJwWm0sQh1cKxXrUeZt4oDfn".to_owned();
        Self { data: vec![EventView::sample()], next_cursor }
    }
}

impl TicketView {
    /// Returns an example.
    pub fn sample() -> Self {
        Self { ticket: "tkt_5vX0…".to_owned(), expires_at: 1_767_254_460_000 }
    }
}

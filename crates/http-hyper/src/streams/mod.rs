//! Streams of events: server-sent events, pages for callers that cannot hold a connection, and
//! `WebSocket` connections with their tickets.
//!
//! A stream is a position in the event feed, so a slow reader is late and loses no event (ADR
//! 0038). [`Follower`](follower::Follower) reads the feed for both kinds of stream; crate
//! `http-listener` decides about peers that do not read (ADR 0040).

pub(crate) mod bookmark;
pub(crate) mod close_cause;
pub(crate) mod follower;
mod metered_stream;
pub(crate) mod open_streams;
pub(crate) mod page;
pub(crate) mod sealer;
pub(crate) mod server_sent;
pub(crate) mod spec;
pub(crate) mod start;
pub(crate) mod ticket;
pub(crate) mod websocket;

use std::sync::Arc;

use domain::ports::OrganizationFeed;
use event_feed::EventFeed;

/// The dependencies of event streams.
pub(crate) struct StreamResources {
    pub(crate) feed: EventFeed,
    pub(crate) store: Arc<dyn OrganizationFeed>,
    pub(crate) open: Arc<open_streams::OpenStreams>,
    pub(crate) bookmarks: bookmark::Bookmarks,
    pub(crate) tickets: ticket::Tickets,
}

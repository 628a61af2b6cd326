//! An event as streams and webhooks send it.

use std::sync::Arc;

use bytes::Bytes;
use domain::{Event, EventId, EventName, FeedEvent, FeedPosition, OrganizationId, SessionId};

/// Renders an event as the JSON text that streams, webhooks and the audit log show.
pub type Renderer = Arc<dyn Fn(&Event) -> Bytes + Send + Sync>;

/// An event with its text. Streams and webhooks share one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEvent {
    /// Position in the feed.
    pub position: FeedPosition,
    /// Id of the event.
    pub id: EventId,
    /// Kind of the event.
    pub name: EventName,
    /// Organization of the event.
    pub organization: OrganizationId,
    /// Session of the event. `None` for events of the organization.
    pub session: Option<SessionId>,
    /// Sequence number per session and stream. 0 without a session.
    pub sequence: u64,
    /// The JSON text, in UTF-8.
    pub text: Bytes,
}

impl RenderedEvent {
    pub(crate) fn new(found: &FeedEvent, render: &Renderer) -> Arc<Self> {
        let event = &found.event;
        Arc::new(Self {
            position: found.position,
            id: event.id.clone(),
            name: event.name(),
            organization: event.organization.clone(),
            session: event.session.clone(),
            sequence: event.sequence,
            text: render(event),
        })
    }

    /// Returns the number of bytes that the event occupies, approximately.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.organization.as_str().len() + self.text.len()
    }
}

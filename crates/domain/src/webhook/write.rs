//! Changes of webhooks, as stores write them.

use crate::{
    feed::position::FeedPosition,
    id::{EventId, WebhookId},
    session::version::Version,
    time::Timestamp,
    webhook::{model::Webhook, replay::Replay},
};

/// A change of one webhook for a caller. Every change makes the webhook due, so that a router looks
/// at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookWrite {
    /// Inserts a webhook whose deliveries begin after a position.
    Insert {
        /// The webhook.
        webhook: Webhook,
        /// Position before the first event.
        start: FeedPosition,
    },
    /// Replaces a webhook of this version. The constant fields id, organization, creator and
    /// creation time are not written.
    Update {
        /// The next state.
        webhook: Webhook,
        /// Version of the stored row.
        expected: Version,
        /// Position from which deliveries begin anew: earlier events are skipped, and retry queues
        /// and a replay end. `None` continues.
        restart: Option<FeedPosition>,
    },
    /// Deletes a webhook with everything that belongs to it.
    Delete {
        /// The webhook.
        id: WebhookId,
        /// Version of the stored row. `None` deletes a webhook of any version, also an unreadable
        /// one.
        expected: Option<Version>,
        /// Time of the delete.
        at: Timestamp,
    },
    /// Starts a replay, unless one is in progress.
    StartReplay {
        /// The webhook.
        id: WebhookId,
        /// The replay.
        replay: Replay,
    },
    /// Delivers a dead letter again, once. Without effect if that is in progress.
    ReplayDeadLetter {
        /// The webhook.
        id: WebhookId,
        /// The event.
        event: EventId,
        /// Time of the request.
        at: Timestamp,
    },
    /// Makes the failing event of a retry queue a dead letter at once.
    Skip {
        /// The webhook.
        id: WebhookId,
        /// The event.
        event: EventId,
        /// Time of the request.
        at: Timestamp,
    },
}

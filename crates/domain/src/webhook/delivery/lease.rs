//! Leases: one router at a time delivers the events of a webhook.

use std::time::Duration;

use crate::{
    caller::Actor,
    event::{Event, payload::EventPayload},
    id::{OrganizationId, WebhookId},
    ports::environment::Environment,
    time::Timestamp,
    webhook::{
        delivery::{changes::DeliveryChanges, retry_queue::RetryQueue},
        model::Webhook,
        progress::DeliveryProgress,
    },
};

/// Duration of a lease.
pub const LEASE: Duration = Duration::from_secs(30);
/// Interval in which a holder renews its leases.
pub const RENEWAL_INTERVAL: Duration = Duration::from_secs(5);
/// The part of a lease that must remain for an attempt to begin: an attempt takes 17 s at most, so
/// that the last request of a holder ends before the first of the next holder begins.
pub const MIN_LEASE_FOR_ATTEMPT: Duration = Duration::from_secs(20);

/// The lease of a webhook, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryLease {
    /// Router that has or had the lease.
    pub holder: Option<String>,
    /// Number of the lease. Fences writes of earlier holders.
    pub epoch: u64,
    /// Time at which the lease ends.
    pub until: Timestamp,
    /// Time at which a router must look at the webhook, although no event tells it to. `None` if
    /// nothing is left to do.
    pub due: Option<Timestamp>,
}

/// A webhook across organizations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookKey {
    /// Organization of the webhook.
    pub organization: OrganizationId,
    /// Id of the webhook.
    pub webhook: WebhookId,
}

impl Webhook {
    /// Returns the key of the webhook.
    pub fn key(&self) -> WebhookKey {
        WebhookKey { organization: self.organization.clone(), webhook: self.id.clone() }
    }
}

/// A claim of leases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseClaim {
    /// Id of the claiming router.
    pub holder: String,
    /// Leases that end at this time are free.
    pub now: Timestamp,
    /// End of the new leases.
    pub until: Timestamp,
}

/// The result of a claim for one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The router has the lease.
    Held(Box<LeasedWebhook>),
    /// Another router has the lease until this time.
    Busy(WebhookKey, Timestamp),
}

/// A leased webhook with its stored progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Number of the lease.
    pub epoch: u64,
    /// The progress.
    pub progress: DeliveryProgress,
    /// The retry queues.
    pub retries: Vec<RetryQueue>,
}

/// The changes of one leased webhook, which are written if the lease is still held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFlush {
    /// The webhook.
    pub key: WebhookKey,
    /// Number of the lease.
    pub epoch: u64,
    /// Whether the holder keeps the lease.
    pub lease: LeaseChange,
    /// The changes of the deliveries.
    pub changes: DeliveryChanges,
    /// Whether old attempts and dead letters are removed.
    pub prune: bool,
    /// The event of a disablement.
    pub disabled: Option<Event>,
    /// The event of new gaps.
    pub gap: Option<Event>,
}

impl DeliveryFlush {
    /// Creates the flush of a leased webhook, with the events of its changes.
    pub fn new(
        key: WebhookKey,
        epoch: u64,
        lease: LeaseChange,
        changes: DeliveryChanges,
        environment: &dyn Environment,
    ) -> Self {
        let event = |payload| {
            Event::of_organization(payload, &key.organization, &Actor::System, environment)
        };
        let disabled = changes.disable.map(|(reason, _)| {
            event(EventPayload::WebhookDisabled { webhook: key.webhook.clone(), reason })
        });
        let gap = (changes.gaps > 0)
            .then(|| event(EventPayload::WebhookGap { webhook: key.webhook.clone() }));
        Self { key, epoch, lease, changes, prune: false, disabled, gap }
    }
}

/// What a flush does with the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// The holder keeps the lease until this time.
    Renew(Timestamp),
    /// The holder gives the lease back at `now`, and a router must look at the webhook at `due`.
    Release {
        /// Time of the release.
        now: Timestamp,
        /// See [`DeliveryLease::due`].
        due: Option<Timestamp>,
    },
}

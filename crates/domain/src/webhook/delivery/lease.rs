//! Leases: one router delivers the events of a webhook.

use crate::time::Timestamp;

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

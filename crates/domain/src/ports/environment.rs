//! Ports of the environment: clock, id generator and organization tags.

use crate::{id::OrganizationId, time::Timestamp};

/// The clock and the id generator.
pub trait Environment: Send + Sync {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Returns 128 new bits of a ULID: Unix milliseconds in the upper 48 bits, random bits below.
    /// Strictly increasing within a process.
    fn ulid(&self) -> u128;
}

/// Opaque tags of organizations for nodes, which must not know organizations.
pub trait OrganizationTags: Send + Sync {
    /// Returns the tag of an organization: the same at every router with the same database, and not
    /// reversible without the database's secret.
    fn tag(&self, organization: &OrganizationId) -> String;
}

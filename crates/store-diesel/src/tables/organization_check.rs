//! Rejects writes of values that belong to another organization than the scope.

use domain::{Event, OrganizationId, Scope};

use crate::StoreError;

/// Whether the values belong to the organization of the scope. An insert has no `WHERE` that could
/// check this.
pub(crate) fn belongs_to_scope(
    scope: &Scope,
    organization: &OrganizationId,
    events: &[Event],
) -> bool {
    let in_scope = scope.organization();
    organization == in_scope && events.iter().all(|event| event.organization == *in_scope)
}

/// A write of values that belong to another organization.
pub(crate) const CROSS_ORGANIZATION_WRITE: StoreError =
    StoreError::Unfit { column: "organization" };

//! Rejects writes whose values belong to another organization than the caller's.

use domain::{Event, OrganizationId, Scope};

use crate::StoreError;

/// What is written must belong to the scope's organization: an insert has no `WHERE` that says so.
pub(crate) fn belongs_to_scope(
    scope: &Scope,
    organization: &OrganizationId,
    events: &[Event],
) -> bool {
    let in_scope = scope.organization();
    organization == in_scope && events.iter().all(|event| event.organization == *in_scope)
}

/// Something of another organization than the scope's.
pub(crate) const CROSS_ORGANIZATION_WRITE: StoreError =
    StoreError::Unfit { column: "organization" };

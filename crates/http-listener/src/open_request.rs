//! A request whose response is ready and not completely written.
//!
//! Decision: ADR 0027.

use crate::{access_log::AccessLogGuard, activity::RequestActivity, shared_permits::Permit};

/// What a request holds until the body of its response is written or dropped. The fields are
/// dropped in this order, so that the permit is free when the access log record is written.
pub(crate) struct OpenRequest {
    _permit: Option<Permit>,
    pub(crate) activity: RequestActivity,
    pub(crate) log: AccessLogGuard,
}

impl OpenRequest {
    pub(crate) fn new(
        permit: Option<Permit>,
        activity: RequestActivity,
        log: AccessLogGuard,
    ) -> Self {
        Self { _permit: permit, activity, log }
    }
}

//! Notification of requests that wait for a change of a session.
//!
//! Decision: ADR 0023.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{id::SessionId, ports::error::PortResult, session::version::Version};

/// Notifies requests that wait for a session. A notification carries the version only; waiters
/// re-read the store within their own scope. A lost notification adds latency and loses no data.
pub trait ChangeNotifier: Send + Sync {
    /// Reports that this process wrote the session with this version. `None` if the session is
    /// deleted.
    fn publish(&self, session: &SessionId, version: Option<Version>);

    /// Subscribes a reader of the session to changes from now on.
    fn subscribe(self: Arc<Self>, session: &SessionId) -> Box<dyn Subscription>;
}

/// Subscription of one waiter to one session.
#[async_trait]
pub trait Subscription: Send {
    /// Returns when the session has a version higher than `version` or is deleted: at once for
    /// writes of this process, after a short poll for writes of another router, and after `at_most`
    /// in any case. Spurious returns are allowed.
    async fn changed_since(&mut self, version: Version, at_most: Duration);
}

/// Lookup of session versions across organizations. Only for the notification of waiters.
#[async_trait]
pub trait VersionLookup: Send + Sync {
    /// Returns the stored versions. Deleted sessions are missing.
    ///
    /// # Errors
    /// See [`PortError`](crate::ports::error::PortError).
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>>;
}

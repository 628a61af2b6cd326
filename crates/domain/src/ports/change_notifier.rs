//! How those who wait for a session learn that it was written.
//!
//! Decision: ADR 0023.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::PortResult;
use crate::{SessionId, Version};

/// Tells those who wait for a session how far it was written. Carries no more than that: whoever wakes
/// looks at the store, by its own scope. A change that is missed costs a moment, never an event.
pub trait ChangeNotifier: Send + Sync {
    /// This session was written here and stands at this version; at none when it is gone.
    fn publish(&self, session: &SessionId, version: Option<Version>);

    /// For one who has seen this session: hears of its changes from now on.
    fn subscribe(self: Arc<Self>, session: &SessionId) -> Box<dyn Subscription>;
}

/// What one who waits for a session has of it.
#[async_trait]
pub trait Subscription: Send {
    /// Returns when the session was written past `version` or is gone: at once when that was done by
    /// this process, a moment later when by another router; after `at_most` in any case. May return
    /// for nothing.
    async fn changed_since(&mut self, version: Version, at_most: Duration);
}

/// How far sessions of all organizations were written, by whatever router. Only to wake those who wait
/// for them.
#[async_trait]
pub trait VersionLookup: Send + Sync {
    /// The versions that these sessions stand at; those that are gone are missing.
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>>;
}

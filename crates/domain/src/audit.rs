//! Use cases of the audit log: the event log of an organization for its managers.

use std::sync::Arc;

use crate::{
    caller::{Caller, Capability},
    error::Result,
    event::Event,
    ports::store::events::{EventLog, EventPage},
};

/// Use cases of the audit log. Callers that are confined to named sessions have no access, because
/// events name sessions, keys and users.
#[derive(Clone)]
pub struct Audit {
    log: Arc<dyn EventLog>,
}

impl Audit {
    /// Creates the use cases over an event log.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }

    /// Returns a page of the events of the caller's organization, newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without [`Capability::Manage`] in the whole
    /// organization, and errors of the log.
    pub async fn list(&self, caller: &Caller, page: &EventPage) -> Result<Vec<Event>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        Ok(self.log.page(&scope, page).await?)
    }
}

//! Who did what: the organization's event log, as its managers read it.

use std::sync::Arc;

use crate::{
    caller::{Caller, Capability},
    error::Result,
    event::Event,
    ports::store::events::{EventLog, EventPage},
};

/// The use cases of the audit trail. They are for callers that are not confined to named sessions:
/// events name sessions, keys and people.
#[derive(Clone)]
pub struct Audit {
    log: Arc<dyn EventLog>,
}

impl Audit {
    /// Over this log.
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }

    /// What happened in the caller's organization, newest first.
    pub async fn list(&self, caller: &Caller, page: &EventPage) -> Result<Vec<Event>> {
        let scope = caller.may_throughout(Capability::Manage)?;
        Ok(self.log.page(&scope, page).await?)
    }
}

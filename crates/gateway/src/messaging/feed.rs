//! The journal from the view of one session.

use std::sync::{Arc, Mutex, PoisonError};

use gateway_protocol::JournalItem;

use super::sender::SendOutcomes;
use crate::{
    fair_permits::Group,
    journal::{Journal, NewItem, Source},
    session_name::SessionName,
    sqlite::Result,
};

/// Appends to the journal for one session.
pub(crate) struct SessionFeed {
    pub(crate) session: SessionName,
    journal: Arc<Journal>,
    group: Mutex<Group>,
}

impl SessionFeed {
    pub(crate) fn new(session: SessionName, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self { session, journal, group: Mutex::default() })
    }

    /// Returns the group of the session.
    pub(crate) fn group(&self) -> Group {
        self.group.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_group(&self, group: Option<&str>) {
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = group.map(Arc::from);
    }

    /// Appends messages; see [`Journal::append`].
    pub(super) async fn append(&self, items: Vec<NewItem>) -> Result<()> {
        self.journal.append(&self.source(), items).await
    }

    /// Appends an item in the background; see [`Journal::append_event`].
    pub(super) fn append_event(&self, item: impl Into<NewItem>) {
        self.journal.append_event(&self.source(), item.into());
    }

    /// Appends a receipt in the background; see [`Journal::append_receipt`].
    pub(super) fn append_receipt(&self, item: JournalItem) {
        self.journal.append_receipt(&self.source(), item.into());
    }

    fn source(&self) -> Source {
        Source { session: self.session.clone(), group: self.group() }
    }
}

impl SendOutcomes for SessionFeed {
    fn report(&self, item: JournalItem) {
        self.append_event(item);
    }

    fn session(&self) -> &str {
        self.session.as_str()
    }
}

//! Tells the router which phone number and LID belong to one person, when the engine learns so.

use std::sync::Arc;

use gateway_protocol::{ContactItem, ContactNames, JournalItem};

use super::feed::SessionFeed;
use crate::keys::NewMappings;

/// People in one item.
const MAX_CONTACTS: usize = 200;

/// Appends new mappings to the journal.
pub(crate) struct LearnedNames(pub(crate) Arc<SessionFeed>);

impl NewMappings for LearnedNames {
    fn on_new_mappings(&self, mappings: Vec<(String, String)>) {
        for mappings in mappings.chunks(MAX_CONTACTS) {
            let names = |(lid, phone): &(String, String)| ContactNames {
                lid: Some(lid.clone()),
                phone: Some(phone.clone()),
                name: None,
            };
            let contacts = mappings.iter().map(names).collect();
            self.0.append_event(JournalItem::Contact(ContactItem { contacts }));
        }
    }
}

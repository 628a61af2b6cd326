//! Keys of lookups of messages, as entries of lists. The names of the fields are the names of
//! columns.

use std::collections::BTreeMap;

use domain::{MessagingLookup, MessagingState, OrganizationId, SessionId, SessionMessaging};
use serde::Serialize;

use crate::{rows::message::MessageColumns, scope::ScopedSessionId};

/// A session.
#[derive(Serialize)]
pub(crate) struct SessionKeyRow {
    session: String,
}

/// A name of a chat.
#[derive(Serialize)]
pub(crate) struct NameKeyRow {
    organization: String,
    session: String,
    name: String,
}

/// An id of messages at WhatsApp.
#[derive(Serialize)]
pub(crate) struct WaIdKeyRow {
    organization: String,
    session: String,
    wa_id: String,
}

/// A chat, or a message, by its number.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct ChatKeyRow {
    organization: String,
    session: String,
    id: i64,
}

/// A chat, as names lead to it.
#[derive(Serialize)]
pub(crate) struct ChatOfNamesKeyRow {
    organization: String,
    session: String,
    chat: i64,
}

/// A message.
#[derive(Serialize)]
pub(crate) struct MessageKeyRow {
    organization: String,
    session: String,
    id: i64,
}

/// A message with an entry in the outbox.
#[derive(Serialize)]
pub(crate) struct EntryKeyRow {
    organization: String,
    session: String,
    message: i64,
}

impl SessionKeyRow {
    pub(crate) fn new(lookup: &MessagingLookup) -> Self {
        Self { session: lookup.session.to_string() }
    }

    pub(crate) fn all(sessions: &[SessionId]) -> Vec<Self> {
        sessions.iter().map(|session| Self { session: session.to_string() }).collect()
    }
}

impl NameKeyRow {
    pub(crate) fn all<'a>(
        owner: &'a SessionMessaging,
        lookup: &'a MessagingLookup,
    ) -> impl Iterator<Item = Self> + 'a {
        lookup.names.iter().map(|name| Self {
            organization: owner.organization.to_string(),
            session: owner.session.to_string(),
            name: name.text(),
        })
    }
}

impl WaIdKeyRow {
    pub(crate) fn all<'a>(
        owner: &'a SessionMessaging,
        lookup: &'a MessagingLookup,
    ) -> impl Iterator<Item = Self> + 'a {
        lookup.wa_ids.iter().map(|wa_id| Self {
            organization: owner.organization.to_string(),
            session: owner.session.to_string(),
            wa_id: wa_id.to_string(),
        })
    }
}

impl ChatKeyRow {
    /// Returns the keys of chats of a session of a caller.
    pub(crate) fn of_session(session: &ScopedSessionId, ids: &[i64]) -> Vec<Self> {
        let key = |id: &i64| Self {
            organization: session.organization.clone(),
            session: session.id.clone(),
            id: *id,
        };
        ids.iter().map(key).collect()
    }

    /// Returns the key of a chat of one of the sessions.
    pub(crate) fn of(
        session: &str,
        id: i64,
        states: &BTreeMap<String, MessagingState>,
    ) -> Option<Self> {
        let organization = states.get(session)?.row.organization.to_string();
        Some(Self { organization, session: session.to_owned(), id })
    }
}

impl ChatOfNamesKeyRow {
    pub(crate) fn new(organization: &OrganizationId, session: &SessionId, chat: i64) -> Self {
        Self { organization: organization.to_string(), session: session.to_string(), chat }
    }
}

impl MessageKeyRow {
    pub(crate) fn new(organization: &OrganizationId, session: &SessionId, id: i64) -> Self {
        Self { organization: organization.to_string(), session: session.to_string(), id }
    }
}

impl EntryKeyRow {
    /// Returns the keys of messages of a session of a caller.
    pub(crate) fn of_session(session: &ScopedSessionId, messages: &[i64]) -> Vec<Self> {
        let key = |message: &i64| Self {
            organization: session.organization.clone(),
            session: session.id.clone(),
            message: *message,
        };
        messages.iter().map(key).collect()
    }

    pub(crate) fn new(message: &MessageColumns) -> Self {
        Self {
            organization: message.organization.clone(),
            session: message.session.clone(),
            message: message.id,
        }
    }
}

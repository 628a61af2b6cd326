//! The state of a session with listed messages, as decisions about the outbox need it.

use std::collections::{BTreeMap, BTreeSet};

use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use domain::MessagingState;

use crate::{
    Database, StoreError,
    database::statements::with_conn,
    rows::{
        chat::{ChatNameRow, ChatRow},
        column::to_json,
        message::MessageColumns,
        messaging_keys::{ChatKeyRow, ChatOfNamesKeyRow, MessageKeyRow},
        outbox::OutboxRow,
    },
    scope::{
        bound_query::prepared_query,
        messaging::{chat_names_statement, chats_statement, messages_by_number_statement},
        outbox as scope,
    },
    tables::messaging::{SessionStateRow, fill_states, select_listed},
};

impl Database {
    /// Returns the counters of a session with its account, node and settings.
    pub(crate) async fn session_state(
        &self,
        session: &str,
    ) -> Result<Option<MessagingState>, StoreError> {
        let statement = scope::session_statement();
        let rows: Vec<SessionStateRow> = with_conn!(self, messages, |conn| {
            prepared_query!(&statement, Text: session).load(conn).await
        })?;
        rows.into_iter().next().map(MessagingState::try_from).transpose()
    }

    /// Adds messages of entries to the state of a session.
    pub(crate) async fn with_entries(
        &self,
        state: MessagingState,
        entries: Vec<OutboxRow>,
        with_names: bool,
    ) -> Result<MessagingState, StoreError> {
        let (organization, session) = (&state.row.organization, &state.row.session);
        let key = |row: &OutboxRow| MessageKeyRow::new(organization, session, row.message);
        let keys: Vec<_> = entries.iter().map(key).collect();
        let messages = select_listed!(self, messages_by_number_statement, MessageColumns, keys);
        self.with_messages(state, messages, entries, with_names).await
    }

    /// Adds messages with their chats to the state of a session, in the order of their numbers.
    pub(crate) async fn with_messages(
        &self,
        state: MessagingState,
        mut messages: Vec<MessageColumns>,
        entries: Vec<OutboxRow>,
        with_names: bool,
    ) -> Result<MessagingState, StoreError> {
        messages.sort_by_key(|row| row.id);
        let (organization, id) = (state.row.organization.clone(), state.row.session.clone());
        let session = id.to_string();
        let mut states = BTreeMap::from([(session.clone(), state)]);
        let chats: BTreeSet<_> =
            messages.iter().filter_map(|row| ChatKeyRow::of(&session, row.chat, &states)).collect();
        let chats = select_listed!(self, chats_statement, ChatRow, chats);
        let unaddressed: Vec<_> = chats
            .iter()
            .filter(|chat| with_names && chat.has_no_address())
            .map(|chat| ChatOfNamesKeyRow::new(&organization, &id, chat.number()))
            .collect();
        let names = select_listed!(self, chat_names_statement, ChatNameRow, unaddressed);
        fill_states(&mut states, names, chats, messages, &entries)?;
        states.remove(&session).ok_or_else(|| StoreError::corrupt("session_messaging", &session))
    }
}

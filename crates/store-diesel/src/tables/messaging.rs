//! Implements the store of messages for nodes: states of sessions by keys, and guarded changes of
//! the messages of many sessions in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    Chat, ChatName, GatewayId, MessagingCommit, MessagingLookup, MessagingState, OutboxEntry,
    SessionId, SessionMessaging,
    ports::{MessagingStore, PortResult, Rejection},
};

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::{
        chat::{ChatNameRow, ChatRow},
        column::{parse_optional, to_json},
        event::EventRow,
        message::MessageColumns,
        messaging_change::{ChangedRows, GuardRow},
        messaging_keys::{ChatKeyRow, EntryKeyRow, NameKeyRow, SessionKeyRow, WaIdKeyRow},
        outbox::OutboxRow,
        session_messaging::SessionMessagingRow,
    },
    scope::{
        bound_query::prepared_query,
        messaging::{
            MERGE, chats_statement, entries_statement, guard_statement, insert_entries_statement,
            insert_events_statement, insert_messages_statement, messages_statement,
            names_statement, recover_statement, sessions_statement, store_chats_statement,
            store_names_statement, update_entries_statement, update_states_statement,
        },
        round_robin::RowId,
    },
};

/// Counters of a session with its account and its node.
#[derive(QueryableByName)]
pub(crate) struct SessionStateRow {
    #[diesel(embed)]
    messaging: SessionMessagingRow,
    #[diesel(sql_type = Nullable<BigInt>)]
    removal_due: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    phone: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    gateway: Option<String>,
    #[diesel(sql_type = Bool)]
    auto_read: bool,
}

impl TryFrom<SessionStateRow> for MessagingState {
    type Error = StoreError;

    fn try_from(row: SessionStateRow) -> Result<Self, StoreError> {
        let messaging = SessionMessaging::try_from(row.messaging)?;
        if row.removal_due.is_some() {
            return Err(StoreError::Remaining(messaging.session.to_string()));
        }
        let gateway = parse_optional(row.gateway.as_deref(), GatewayId::parse);
        let corrupt = || StoreError::corrupt("sessions.gateway", messaging.session.as_str());
        Ok(Self {
            gateway: gateway.ok_or_else(corrupt)?,
            row: messaging,
            phone: row.phone,
            auto_read: row.auto_read,
            names: Vec::new(),
            chats: Vec::new(),
            messages: Vec::new(),
        })
    }
}

/// Selects rows by a list of keys; without keys, no row.
macro_rules! select_listed {
    ($database:expr, $statement:ident, $row:ty, $keys:expr) => {{
        let rows: Vec<$row> = if $keys.is_empty() {
            Vec::new()
        } else {
            let (statement, list) = ($statement($database.kind()), to_json("messages", &$keys)?);
            with_conn!($database, messages, |conn| {
                prepared_query!(&statement, Text: &list).load(conn).await
            })?
        };
        rows
    }};
}

pub(crate) use select_listed;

/// Runs a statement over a list of rows, unless the list is empty; returns the number of changed
/// rows.
macro_rules! write_list {
    ($conn:expr, $kind:expr, $statement:ident, $rows:expr) => {
        if $rows.is_empty() {
            0
        } else {
            let (statement, list) = ($statement($kind), to_json("messages", &$rows)?);
            prepared_query!(&statement, Text: &list).execute($conn).await?
        }
    };
}

/// Makes chats parts of other ones.
macro_rules! merge_chats {
    ($conn:expr, $merges:expr) => {
        for merge in &$merges {
            for statement in MERGE {
                prepared_query!(
                    statement,
                    Text: &merge.organization,
                    Text: &merge.session,
                    BigInt: merge.from,
                    BigInt: merge.into
                )
                .execute($conn)
                .await?;
            }
        }
    };
}

#[async_trait]
impl MessagingStore for Database {
    async fn messaging_states(
        &self,
        lookups: &[MessagingLookup],
    ) -> PortResult<Vec<MessagingState>> {
        let lookups = lookups.to_vec();
        self.run(|database| async move { database.load_states(lookups).await }).await
    }

    async fn commit_messaging(
        &self,
        commits: &[MessagingCommit],
    ) -> PortResult<BTreeSet<SessionId>> {
        let commits = commits.to_vec();
        self.run(|database| async move { database.write_messaging(commits).await }).await
    }
}

impl Database {
    async fn load_states(
        &self,
        lookups: Vec<MessagingLookup>,
    ) -> Result<Vec<MessagingState>, StoreError> {
        let keys: Vec<_> = lookups.iter().map(SessionKeyRow::new).collect();
        let rows = select_listed!(self, sessions_statement, SessionStateRow, keys);
        let mut states = BTreeMap::new();
        for row in rows {
            let state = MessagingState::try_from(row)?;
            states.insert(state.row.session.to_string(), state);
        }
        let of_existing = || {
            let state = |lookup: &MessagingLookup| states.get(lookup.session.as_str());
            lookups.iter().filter_map(move |lookup| Some((lookup, state(lookup)?)))
        };
        let names: Vec<_> =
            of_existing().flat_map(|(lookup, state)| NameKeyRow::all(&state.row, lookup)).collect();
        let wa_ids: Vec<_> =
            of_existing().flat_map(|(lookup, state)| WaIdKeyRow::all(&state.row, lookup)).collect();
        let names = select_listed!(self, names_statement, ChatNameRow, names);
        let messages = select_listed!(self, messages_statement, MessageColumns, wa_ids);
        let chats: BTreeSet<_> = names
            .iter()
            .filter_map(|name| ChatKeyRow::of(name.session(), name.chat()?, &states))
            .chain(
                messages.iter().filter_map(|row| ChatKeyRow::of(&row.session, row.chat, &states)),
            )
            .collect();
        let own: Vec<_> =
            messages.iter().filter(|row| row.is_of_api()).map(EntryKeyRow::new).collect();
        let chats = select_listed!(self, chats_statement, ChatRow, chats);
        let entries = select_listed!(self, entries_statement, OutboxRow, own);
        fill_states(&mut states, names, chats, messages, &entries)?;
        Ok(states.into_values().collect())
    }

    /// Writes the changes whose guards hold, in one transaction.
    pub(crate) async fn write_messaging(
        &self,
        mut commits: Vec<MessagingCommit>,
    ) -> Result<BTreeSet<SessionId>, StoreError> {
        // Rows are locked in the order of the list.
        let key = |commit: &MessagingCommit| {
            let row = &commit.change.row;
            (row.organization.clone(), row.session.clone())
        };
        commits.sort_by_key(key);
        let guards = commits.iter().map(GuardRow::new).collect::<Result<Vec<_>, _>>()?;
        let guards = to_json("session_messaging", &guards)?;
        let mut changes = Vec::new();
        for commit in &commits {
            changes.push(ChangedRows::new(self, commit).await?);
        }
        let events: Vec<_> =
            commits.iter().map(|commit| EventRow::all(&commit.events)).collect::<Result<_, _>>()?;
        let (kind, guard) = (self.kind(), guard_statement(self.kind()));
        with_transaction!(self, messages, |conn| {
            let guarded: Vec<RowId> = prepared_query!(&guard, Text: &guards).load(conn).await?;
            let guarded: BTreeSet<_> = guarded.into_iter().map(|row| row.id).collect();
            let (mut rows, mut new_events, mut written) =
                (ChangedRows::default(), Vec::new(), BTreeSet::new());
            for ((commit, change), events) in commits.iter().zip(changes).zip(events) {
                if guarded.contains(commit.change.row.session.as_str()) {
                    rows.add(change);
                    new_events.extend(events);
                    written.insert(commit.change.row.session.clone());
                }
            }
            write_list!(conn, kind, store_chats_statement, rows.chats);
            merge_chats!(conn, rows.merges);
            write_list!(conn, kind, store_names_statement, rows.names);
            write_list!(conn, kind, insert_messages_statement, rows.messages);
            write_list!(conn, kind, update_states_statement, rows.states);
            write_list!(conn, kind, recover_statement, rows.recovered);
            let entries = write_list!(conn, kind, insert_entries_statement, rows.new_entries);
            if entries < rows.new_entries.len() {
                return Err(StoreError::Rejected(Rejection::Repeated));
            }
            write_list!(conn, kind, update_entries_statement, rows.entries);
            write_list!(conn, kind, insert_events_statement, new_events);
            Ok(written)
        })
    }
}

/// Adds rows to the states of their sessions.
pub(crate) fn fill_states(
    states: &mut BTreeMap<String, MessagingState>,
    names: Vec<ChatNameRow>,
    chats: Vec<ChatRow>,
    messages: Vec<MessageColumns>,
    entries: &[OutboxRow],
) -> Result<(), StoreError> {
    for row in names {
        if let Some(state) = states.get_mut(row.session()) {
            state.names.push(ChatName::try_from(row)?);
        }
    }
    for row in chats {
        if let Some(state) = states.get_mut(row.session()) {
            state.chats.push(Chat::try_from(row)?);
        }
    }
    let entries: HashMap<_, _> =
        entries.iter().map(|row| ((row.session.as_str(), row.message), row)).collect();
    for row in messages {
        let entry = entries.get(&(row.session.as_str(), row.id)).copied();
        let entry = entry.map(OutboxEntry::try_from).transpose()?;
        if let Some(state) = states.get_mut(&row.session) {
            state.messages.push(row.header(entry)?);
        }
    }
    Ok(())
}

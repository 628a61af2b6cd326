//! Implements the store of the outbox: due outboxes of all organizations, and what waits in the outbox
//! of one session.

use std::collections::BTreeMap;

use async_trait::async_trait;
use diesel::{
    QueryableByName,
    sql_types::{BigInt, Binary, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    AcceptanceKey, ChatName, ChatNameText, HandOverTimes, IdempotencyKeyHash, MessageFlags,
    MessageId, MessagingState, OrganizationId, Scope, SessionId, Timestamp,
    ports::{Claim, DueOutbox, KeyedEntry, OutboxStore, PortResult, WaitingMessages, WorkerStore},
};

use crate::{
    Database, StoreError,
    database::statements::with_conn,
    rows::{
        column::{from_bigint, to_bigint, to_json},
        message::MessageColumns,
        message_json::decode_details,
        messaging_keys::MessageKeyRow,
        outbox::OutboxRow,
        readable::skip_unreadable,
    },
    scope::{
        ScopedSessionId,
        bound_query::{BoundQuery, bound_query, prepared_query},
        messaging::bodies_statement,
        outbox as scope,
        round_robin::DueQueue,
    },
    tables::{
        content::{BodyRow, ContentOwner, ContentPart},
        messages::name_of_chat,
        messaging::select_listed,
    },
};

/// The key of a row of `session_messaging`.
#[derive(QueryableByName)]
pub(crate) struct MessagingKeyRow {
    #[diesel(sql_type = Text)]
    pub(crate) organization: String,
    #[diesel(sql_type = Text)]
    pub(crate) session: String,
}

/// A time, or none.
#[derive(QueryableByName)]
struct TimeRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    at: Option<i64>,
}

#[derive(QueryableByName)]
struct HandOverRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    nth_newest: Option<i64>,
}

#[derive(QueryableByName)]
struct EntryCountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct KeyedRow {
    #[diesel(sql_type = Text)]
    session: String,
    #[diesel(sql_type = BigInt)]
    message: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    request: Option<Vec<u8>>,
}

#[async_trait]
impl OutboxStore for Database {
    async fn claim_outboxes(&self, claim: &Claim) -> PortResult<Vec<DueOutbox>> {
        let claim = claim.clone();
        self.run(|database| async move {
            let ids = database.due(DueQueue::Outboxes, &claim).await?;
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let (statement, list) =
                (scope::claim_statement(database.kind()), to_json("session_messaging", &ids)?);
            let (now, until) = (claim.now.millis(), claim.until.millis());
            let rows: Vec<MessagingKeyRow> = with_conn!(database, write, |conn| {
                bound_query!(statement, Text: &list, BigInt: now, BigInt: until).load(conn).await
            })?;
            let due = |row: MessagingKeyRow| {
                let corrupt = |column| StoreError::corrupt(column, &row.session);
                let organization = OrganizationId::parse(&row.organization);
                skip_unreadable(organization.zip(SessionId::parse(&row.session)).map_or_else(
                    || Err(corrupt("session_messaging.session")),
                    |(organization, session)| Ok(DueOutbox { organization, session }),
                ))
            };
            Ok(rows.into_iter().filter_map(due).collect())
        })
        .await
    }

    async fn release_outbox(&self, due: &DueOutbox, at: Timestamp) -> PortResult<()> {
        let (organization, session) = (due.organization.to_string(), due.session.to_string());
        let at = at.millis();
        self.run(|database| async move {
            with_conn!(database, write, |conn| {
                bound_query!(scope::RELEASE, Text: &organization, Text: &session, BigInt: at)
                    .execute(conn)
                    .await
            })
        })
        .await?;
        Ok(())
    }

    async fn next_outbox_due(&self) -> PortResult<Option<Timestamp>> {
        self.run(|database| async move { database.time_of(scope::NEXT_DUE).await }).await
    }

    async fn oldest_waiting(&self) -> PortResult<Option<Timestamp>> {
        self.run(|database| async move { database.time_of(scope::OLDEST_WAITING).await }).await
    }

    async fn waiting_messages(
        &self,
        session: &SessionId,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<Option<WaitingMessages>> {
        let Some(found) = WorkerStore::find(self, session).await? else { return Ok(None) };
        let id = session.to_string();
        let read = self.run(|database| async move {
            let Some(state) = database.session_state(&id).await? else { return Ok(None) };
            let organization = state.row.organization.to_string();
            let (statement, row_limit) = (scope::waiting_statement(), i64::from(limit));
            let with_first_contacts = state.row.paused_until.is_none_or(|until| until <= now);
            let rows: Vec<OutboxRow> = with_conn!(database, messages, |conn| {
                prepared_query!(
                    &statement,
                    Text: &organization,
                    Text: &id,
                    Bool: with_first_contacts,
                    BigInt: row_limit
                )
                .load(conn)
                .await
            })?;
            let expiry: TimeRow = with_conn!(database, messages, |conn| {
                prepared_query!(scope::NEXT_EXPIRY, Text: &organization, Text: &id)
                    .get_result(conn)
                    .await
            })?;
            let state = database.with_entries(state, rows, true).await?;
            Ok(Some((state, expiry.at.map(Timestamp::from_millis))))
        });
        Ok(read.await?.map(|(state, next_expiry)| WaitingMessages {
            session: found,
            state,
            next_expiry,
        }))
    }

    async fn ended_messages(
        &self,
        session: &SessionId,
        account: &str,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<Option<MessagingState>> {
        let (id, account) = (session.to_string(), account.to_owned());
        self.run(|database| async move {
            let Some(state) = database.session_state(&id).await? else { return Ok(None) };
            let organization = state.row.organization.to_string();
            let (statement, row_limit) = (scope::ended_statement(), i64::from(limit));
            let now = now.millis();
            let rows: Vec<OutboxRow> = with_conn!(database, messages, |conn| {
                prepared_query!(
                    &statement,
                    Text: &organization,
                    Text: &id,
                    BigInt: now,
                    Text: &account,
                    BigInt: row_limit
                )
                .load(conn)
                .await
            })?;
            database.with_entries(state, rows, false).await.map(Some)
        })
        .await
    }

    async fn message_texts(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        messages: &[MessageId],
    ) -> PortResult<BTreeMap<MessageId, String>> {
        let (organization, session) = (organization.clone(), session.clone());
        let messages = messages.to_vec();
        self.run(|database| async move {
            let mut keys = Vec::new();
            for id in messages {
                let id = to_bigint("messages.id", id.0)?;
                keys.push(MessageKeyRow::new(&organization, &session, id));
            }
            let rows = select_listed!(database, bodies_statement, BodyRow, keys);
            let mut texts = BTreeMap::new();
            for BodyRow { id, body, .. } in rows {
                let Some(body) = body else { continue };
                let owner = ContentOwner {
                    organization: &organization,
                    session: session.as_str(),
                    message: id,
                };
                let opened = database.reveal(&owner, ContentPart::Body, &body).await?;
                let text = opened.and_then(|body| decode_details(&body)?.body);
                if let (Some(text), Some(id)) = (text, from_bigint(id)) {
                    texts.insert(MessageId(id), text);
                }
            }
            Ok(texts)
        })
        .await
    }

    async fn hand_overs(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        since: Timestamp,
        nth: u32,
    ) -> PortResult<HandOverTimes> {
        let (organization, session) = (organization.to_string(), session.to_string());
        let (since, back) = (since.millis(), i64::from(nth.saturating_sub(1)));
        self.run(|database| async move {
            let row: HandOverRow = with_conn!(database, messages, |conn| {
                prepared_query!(
                    scope::HAND_OVERS,
                    Text: &organization,
                    Text: &session,
                    BigInt: since,
                    BigInt: back
                )
                .get_result(conn)
                .await
            })?;
            Ok(HandOverTimes {
                count: from_bigint(row.count).unwrap_or_default(),
                nth_newest: row.nth_newest.map(Timestamp::from_millis),
            })
        })
        .await
    }

    async fn unread_messages(
        &self,
        session: &SessionId,
        limit: u32,
    ) -> PortResult<Option<MessagingState>> {
        let id = session.to_string();
        self.run(|database| async move {
            let Some(state) = database.session_state(&id).await? else { return Ok(None) };
            let organization = state.row.organization.to_string();
            let (statement, row_limit) = (scope::unread_statement(), i64::from(limit));
            let unreadable = MessageFlags { undecryptable: true, ..MessageFlags::default() }.bits();
            let rows: Vec<MessageColumns> = with_conn!(database, messages, |conn| {
                prepared_query!(
                    &statement,
                    Text: &organization,
                    Text: &id,
                    BigInt: unreadable,
                    BigInt: row_limit
                )
                .load(conn)
                .await
            })?;
            database.with_messages(state, rows, Vec::new(), false).await.map(Some)
        })
        .await
    }

    async fn chat_name(
        &self,
        scope: &Scope,
        session: &SessionId,
        account: &str,
        name: &ChatNameText,
    ) -> PortResult<Option<ChatName>> {
        let scoped_id = ScopedSessionId::new(scope, session);
        let (account, name) = (account.to_owned(), name.text());
        self.run(|database| async move {
            let row = name_of_chat(&database, &scoped_id, &account, &name).await?;
            row.map(ChatName::try_from).transpose()
        })
        .await
    }

    async fn entry_by_key(
        &self,
        scope: &Scope,
        key_hash: &IdempotencyKeyHash,
    ) -> PortResult<Option<KeyedEntry>> {
        let (organization, key_hash) = (scope.organization().to_string(), *key_hash);
        self.run(|database| async move {
            let hash = key_hash.0.to_vec();
            let rows: Vec<KeyedRow> = with_conn!(database, read, |conn| {
                bound_query!(scope::BY_KEY, Text: &organization, Binary: &hash).load(conn).await
            })?;
            let entry = |row: KeyedRow| {
                let corrupt = || StoreError::corrupt("outbox.request", &row.session);
                let request = row.request.as_deref().and_then(|bytes| bytes.try_into().ok());
                Ok(KeyedEntry {
                    session: SessionId::parse(&row.session).ok_or_else(corrupt)?,
                    message: MessageId(from_bigint(row.message).ok_or_else(corrupt)?),
                    key: AcceptanceKey { key_hash, request: request.ok_or_else(corrupt)? },
                })
            };
            rows.into_iter().next().map(entry).transpose()
        })
        .await
    }

    async fn waiting_before(
        &self,
        scope: &Scope,
        session: &SessionId,
        message: MessageId,
    ) -> PortResult<u64> {
        if !scope.reach().covers(session) {
            return Ok(0);
        }
        let (organization, session) = (scope.organization().to_string(), session.to_string());
        self.run(|database| async move {
            let number = to_bigint("outbox.message", message.0)?;
            let row: EntryCountRow = with_conn!(database, read, |conn| {
                bound_query!(
                    scope::WAITING_BEFORE,
                    Text: &organization,
                    Text: &session,
                    BigInt: number
                )
                .get_result(conn)
                .await
            })?;
            Ok(from_bigint(row.count).unwrap_or_default())
        })
        .await
    }
}

impl Database {
    /// Returns the time that a statement without parameters selects.
    pub(super) async fn time_of(
        &self,
        statement: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        // Without parameters, there is one plan on every connection.
        let row: TimeRow = with_conn!(self, read, |conn| {
            BoundQuery::new(statement).prepared().get_result(conn).await
        })?;
        Ok(row.at.map(Timestamp::from_millis))
    }
}

//! Implements the removal of messages.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, QueryableByName,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    EventId, MessageAges, MessageExpiry, MessageRemoval, MessageStorage, OrganizationId, SessionId,
    Timestamp,
    ports::{MessageRemovalStore, PortResult},
};

use crate::{
    Database, StoreError,
    batch::mutation::insert_events,
    database::statements::{with_conn, with_transaction},
    rows::{
        column::{from_bigint, timestamp},
        event::EventRow,
    },
    scope::{
        message_removal::{
            CLAIM_REMOVALS, CONTINUE_REMOVAL, END_REMOVAL, EXPIRE_BODIES, EXPIRE_CONTENTS,
            EXPIRE_MESSAGES, EXPIRY_MARKS, MESSAGE_AGES, OLDEST_MESSAGES, REMOVE_CHATS,
            REMOVE_ENTRIES, REMOVE_EVENTS, REMOVE_MESSAGES, REMOVE_NAMES,
        },
        numbered::numbered,
        round_robin::bound_query,
    },
};

#[derive(QueryableByName)]
struct RemovalRow {
    #[diesel(sql_type = Text)]
    organization: String,
    #[diesel(sql_type = Text)]
    session: String,
}

impl TryFrom<RemovalRow> for MessageRemoval {
    type Error = StoreError;

    fn try_from(row: RemovalRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt(column, &row.session);
        Ok(Self {
            organization: OrganizationId::parse(&row.organization)
                .ok_or_else(|| corrupt("session_messaging.organization"))?,
            session: SessionId::parse(&row.session)
                .ok_or_else(|| corrupt("session_messaging.session"))?,
        })
    }
}

#[derive(QueryableByName)]
struct EndedRow {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = BigInt)]
    removed: i64,
}

#[derive(QueryableByName)]
struct AgesRow {
    #[diesel(embed)]
    owner: RemovalRow,
    #[diesel(sql_type = Text)]
    storage: String,
    #[diesel(sql_type = BigInt)]
    retention_days: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest_body: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    oldest_content: Option<i64>,
}

impl TryFrom<AgesRow> for MessageAges {
    type Error = StoreError;

    fn try_from(row: AgesRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt(column, &row.owner.session);
        let storage =
            MessageStorage::parse(&row.storage).ok_or_else(|| corrupt("sessions.messages"))?;
        let retention_days =
            u32::try_from(row.retention_days).map_err(|_| corrupt("sessions.retention_days"))?;
        let MessageRemoval { organization, session } = row.owner.try_into()?;
        Ok(Self {
            organization,
            session,
            storage,
            retention_days,
            oldest: timestamp(row.oldest),
            oldest_body: timestamp(row.oldest_body),
            oldest_content: timestamp(row.oldest_content),
        })
    }
}

#[derive(QueryableByName)]
struct MarksRow {
    #[diesel(sql_type = BigInt)]
    body_mark: i64,
    #[diesel(sql_type = BigInt)]
    content_mark: i64,
}

#[derive(QueryableByName)]
struct OldRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Bool)]
    waits: bool,
}

/// Runs a statement that removes up to `left` rows of a session; returns the number of rows.
macro_rules! remove_rows {
    ($conn:expr, $statement:expr, $owner:expr, $left:expr) => {{
        let removed = if $left == 0 {
            0
        } else {
            bound_query!($statement, Text: &$owner.0, Text: &$owner.1, BigInt: $left)
                .execute($conn)
                .await?
        };
        let removed = i64::try_from(removed).unwrap_or(i64::MAX);
        $left -= removed;
        removed
    }};
}

#[async_trait]
impl MessageRemovalStore for Database {
    async fn claim_message_removals(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<MessageRemoval>> {
        self.run(|database| async move {
            let rows: Vec<RemovalRow> = with_conn!(database, write, |conn| {
                bound_query!(
                    CLAIM_REMOVALS,
                    BigInt: until.millis(),
                    BigInt: now.millis(),
                    BigInt: i64::from(limit)
                )
                .load(conn)
                .await
            })?;
            rows.into_iter().map(MessageRemoval::try_from).collect()
        })
        .await
    }

    async fn remove_messages(
        &self,
        removal: &MessageRemoval,
        now: Timestamp,
        limit: u32,
    ) -> PortResult<u32> {
        let owner = (removal.organization.to_string(), removal.session.to_string());
        self.run(|database| async move {
            let limit = i64::from(limit);
            let removed = with_transaction!(database, |conn| {
                let mut left = limit;
                remove_rows!(conn, REMOVE_EVENTS, owner, left);
                remove_rows!(conn, REMOVE_ENTRIES, owner, left);
                let messages = remove_rows!(conn, REMOVE_MESSAGES, owner, left);
                remove_rows!(conn, REMOVE_NAMES, owner, left);
                remove_rows!(conn, REMOVE_CHATS, owner, left);
                bound_query!(
                    CONTINUE_REMOVAL,
                    BigInt: messages,
                    BigInt: now.millis(),
                    Text: &owner.0,
                    Text: &owner.1
                )
                .execute(conn)
                .await?;
                Ok(limit - left)
            })?;
            Ok(u32::try_from(removed).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn finish_message_removal(
        &self,
        removal: &MessageRemoval,
        event: EventId,
        at: Timestamp,
    ) -> PortResult<bool> {
        let removal = removal.clone();
        let owner = (removal.organization.to_string(), removal.session.to_string());
        self.run(|database| async move {
            with_transaction!(database, |conn| {
                let ended: Option<EndedRow> =
                    bound_query!(END_REMOVAL, Text: &owner.0, Text: &owner.1)
                        .get_result(conn)
                        .await
                        .optional()?;
                let Some(EndedRow { sequence, removed }) = ended else { return Ok(false) };
                let corrupt = || StoreError::corrupt("session_messaging.sequence", &owner.1);
                let sequence: u64 = from_bigint(sequence).ok_or_else(corrupt)?;
                let removed = from_bigint(removed).ok_or_else(corrupt)?;
                let event = removal.event(event, sequence + 1, at, removed);
                let events = EventRow::all(&[event])?;
                insert_events!(conn, events);
                Ok(true)
            })
        })
        .await
    }

    async fn message_ages(
        &self,
        after: Option<(OrganizationId, SessionId)>,
        limit: u32,
    ) -> PortResult<Vec<MessageAges>> {
        let text = |(organization, session): (OrganizationId, SessionId)| {
            (organization.to_string(), session.to_string())
        };
        let after = after.map(text).unwrap_or_default();
        self.run(|database| async move {
            let rows: Vec<AgesRow> = with_conn!(database, read, |conn| {
                bound_query!(
                    MESSAGE_AGES,
                    Text: &after.0,
                    Text: &after.1,
                    BigInt: i64::from(limit)
                )
                .load(conn)
                .await
            })?;
            rows.into_iter().map(MessageAges::try_from).collect()
        })
        .await
    }

    async fn expire_messages(
        &self,
        organization: &OrganizationId,
        session: &SessionId,
        expiry: MessageExpiry,
        before: Timestamp,
        limit: u32,
    ) -> PortResult<u32> {
        let owner = (organization.to_string(), session.to_string());
        let statements = match expiry {
            MessageExpiry::Messages => EXPIRE_MESSAGES,
            MessageExpiry::Bodies => EXPIRE_BODIES,
            MessageExpiry::Contents => EXPIRE_CONTENTS,
        };
        self.run(|database| async move {
            let statements = statements.map(|statement| numbered(database.kind(), statement));
            with_transaction!(database, |conn| {
                let marks: Option<MarksRow> =
                    bound_query!(EXPIRY_MARKS, Text: &owner.0, Text: &owner.1)
                        .get_result(conn)
                        .await
                        .optional()?;
                let Some(marks) = marks else { return Ok(0) };
                let mark = match expiry {
                    MessageExpiry::Messages => 0,
                    MessageExpiry::Bodies => marks.body_mark,
                    MessageExpiry::Contents => marks.content_mark,
                };
                let oldest: Vec<OldRow> = bound_query!(
                    OLDEST_MESSAGES,
                    Text: &owner.0,
                    Text: &owner.1,
                    BigInt: mark,
                    BigInt: i64::from(limit)
                )
                .load(conn)
                .await?;
                let expired = oldest
                    .iter()
                    .take_while(|row| row.created_at < before.millis() && !row.waits)
                    .collect::<Vec<_>>();
                let Some(last) = expired.last() else { return Ok(0) };
                for statement in &statements {
                    bound_query!(
                        statement,
                        Text: &owner.0,
                        Text: &owner.1,
                        BigInt: mark,
                        BigInt: last.id
                    )
                    .execute(conn)
                    .await?;
                }
                Ok(u32::try_from(expired.len()).unwrap_or(u32::MAX))
            })
        })
        .await
    }
}

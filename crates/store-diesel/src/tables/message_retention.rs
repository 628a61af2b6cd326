//! Implements the removal of messages, in statements that change a bounded number of rows.

use async_trait::async_trait;
use diesel::{
    OptionalExtension, QueryableByName,
    sql_types::{BigInt, Nullable, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    Event, MessageCutoffs, MessageRemoval, MessageStorage, SessionMessaging, Timestamp,
    ports::{CutoffRule, MessageRetentionStore, PortResult, RemovedSlice},
};
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::{
        column::{from_bigint, to_bigint, to_json},
        event::EventRow,
        readable::skip_unreadable,
        session_messaging::SessionMessagingRow,
    },
    scope::{
        bound_query::{bound_query, prepared_query},
        message_retention::{
            AgedPart, COUNT_REMOVED, NEXT_REMOVAL, NEXT_SESSIONS, NTH_FINISHED, RELEASE,
            REMOVE_COUNTERS, REMOVE_ENTRIES, REMOVE_MESSAGES, REMOVE_OTHERS, RENEW_COUNTERS,
            aged_statement, blank_statement, claim_statement, mark_statement, remove_old_statement,
        },
        messaging::insert_events_statement,
    },
    tables::outbox::MessagingKeyRow,
};

/// Name of the mark that stores the session whose messages were examined last, in `id`.
const MARK: &str = "messages";
/// Number of sessions that one call examines.
const SESSIONS: i64 = 100;

/// The counters of a deleted session.
#[derive(QueryableByName)]
struct RemovalRow {
    #[diesel(embed)]
    messaging: SessionMessagingRow,
    #[diesel(sql_type = BigInt)]
    removed: i64,
}

impl TryFrom<RemovalRow> for MessageRemoval {
    type Error = StoreError;

    fn try_from(row: RemovalRow) -> Result<Self, StoreError> {
        let messaging = SessionMessaging::try_from(row.messaging)?;
        Ok(Self { row: messaging, removed: from_bigint(row.removed).unwrap_or_default() })
    }
}

/// The settings of a session, and the times of its oldest messages.
#[derive(QueryableByName)]
struct AgedSessionRow {
    #[diesel(sql_type = Text)]
    organization: String,
    #[diesel(sql_type = Text)]
    session: String,
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

impl AgedSessionRow {
    fn cutoffs(&self, rule: CutoffRule<'_>) -> Result<MessageCutoffs, StoreError> {
        let corrupt = |column| StoreError::corrupt(column, &self.session);
        let storage =
            MessageStorage::parse(&self.storage).ok_or_else(|| corrupt("sessions.messages"))?;
        let days =
            u32::try_from(self.retention_days).map_err(|_| corrupt("sessions.retention_days"))?;
        Ok(rule(storage, days))
    }
}

/// A message with its age.
#[derive(QueryableByName)]
struct AgedMessageRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
}

#[derive(QueryableByName)]
struct FinishedRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    at: Option<i64>,
}

/// The texts that identify a session.
fn owner_of(row: &SessionMessaging) -> (String, String) {
    (row.organization.to_string(), row.session.to_string())
}

#[async_trait]
impl MessageRetentionStore for Database {
    async fn claim_removal(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<Option<MessageRemoval>> {
        let (now, until) = (now.millis(), until.millis());
        self.run(|database| async move {
            // Usually there is none, and the read takes no lock.
            let next: Option<MessagingKeyRow> = with_conn!(database, read, |conn| {
                bound_query!(NEXT_REMOVAL, BigInt: now).get_result(conn).await.optional()
            })?;
            let Some(MessagingKeyRow { organization, session }) = next else { return Ok(None) };
            let statement = claim_statement();
            let rows: Vec<RemovalRow> = with_conn!(database, write, |conn| {
                bound_query!(
                    statement,
                    Text: &organization,
                    Text: &session,
                    BigInt: now,
                    BigInt: until
                )
                .load(conn)
                .await
            })?;
            rows.into_iter().next().map(MessageRemoval::try_from).transpose()
        })
        .await
    }

    async fn remove_slice(&self, row: &SessionMessaging, limit: u32) -> PortResult<RemovedSlice> {
        let (organization, session) = owner_of(row);
        self.run(|database| async move {
            let limit = i64::from(limit);
            let messages =
                database.remove_messages(organization.clone(), session.clone(), limit).await?;
            if messages > 0 {
                return Ok(RemovedSlice { rows: messages, messages });
            }
            for statement in REMOVE_OTHERS {
                let (organization, session) = (organization.clone(), session.clone());
                let removed = with_conn!(database, write, |conn| {
                    bound_query!(statement, Text: &organization, Text: &session, BigInt: limit)
                        .execute(conn)
                        .await
                })?;
                if removed > 0 {
                    let rows = u64::try_from(removed).unwrap_or(u64::MAX);
                    return Ok(RemovedSlice { rows, messages: 0 });
                }
            }
            Ok(RemovedSlice::default())
        })
        .await
    }

    async fn release_removal(&self, row: &SessionMessaging, now: Timestamp) -> PortResult<()> {
        let ((organization, session), now) = (owner_of(row), now.millis());
        self.run(|database| async move {
            let statement = RELEASE;
            with_conn!(database, write, |conn| {
                bound_query!(statement, Text: &organization, Text: &session, BigInt: now)
                    .execute(conn)
                    .await
            })?;
            Ok(())
        })
        .await
    }

    async fn finish_removal(&self, row: &SessionMessaging, event: &Event) -> PortResult<()> {
        let (organization, session) = owner_of(row);
        let event = event.clone();
        self.run(|database| async move {
            let kind = database.kind();
            let sequence = to_bigint("events.sequence", event.sequence)?;
            let list = to_json("events", &EventRow::all(std::slice::from_ref(&event))?)?;
            let (insert, renew) = (insert_events_statement(kind), RENEW_COUNTERS);
            with_transaction!(database, |conn| {
                let removed = bound_query!(REMOVE_COUNTERS, Text: &organization, Text: &session)
                    .execute(conn)
                    .await?;
                // Another router finished the removal.
                if removed == 0 {
                    return Ok(());
                }
                bound_query!(&insert, Text: &list).execute(conn).await?;
                bound_query!(renew, Text: &organization, Text: &session, BigInt: sequence)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn sweep_outbox(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let (before, last) = (before.millis(), i64::from(limit.max(1)) - 1);
        self.run(|database| async move {
            // Neither engine limits a `DELETE`, so the time of the last row to delete is read first.
            let nth: Option<FinishedRow> = with_conn!(database, read, |conn| {
                bound_query!(NTH_FINISHED, BigInt: before, BigInt: last)
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            let until = nth.and_then(|row| row.at).unwrap_or(before - 1);
            let removed = with_conn!(database, write, |conn| {
                bound_query!(REMOVE_ENTRIES, BigInt: until).execute(conn).await
            })?;
            Ok(u32::try_from(removed).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn prune_messages(&self, cutoffs: CutoffRule<'_>, limit: u32) -> PortResult<bool> {
        let sessions = self.run(|database| async move { database.aged_sessions().await }).await?;
        let is_complete = i64::try_from(sessions.len()).unwrap_or(i64::MAX) < SESSIONS;
        let last = sessions.iter().map(|row| row.session.clone()).max();
        for row in sessions {
            let Some(cutoffs) = skip_unreadable(row.cutoffs(cutoffs)) else { continue };
            self.run(|database| async move { database.prune_session(row, cutoffs, limit).await })
                .await?;
        }
        let mark = if is_complete { String::new() } else { last.unwrap_or_default() };
        self.run(|database| async move { database.set_mark(MARK, mark).await }).await?;
        Ok(is_complete)
    }
}

impl Database {
    /// Removes the first messages of a deleted session, and counts them.
    fn remove_messages(
        &self,
        organization: String,
        session: String,
        limit: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let count_removed = COUNT_REMOVED;
            with_transaction!(self, |conn| {
                let removed = bound_query!(
                    REMOVE_MESSAGES,
                    Text: &organization,
                    Text: &session,
                    BigInt: limit
                )
                .execute(conn)
                .await?;
                let count = i64::try_from(removed).unwrap_or(i64::MAX);
                bound_query!(count_removed, Text: &organization, Text: &session, BigInt: count)
                    .execute(conn)
                    .await?;
                Ok(u64::try_from(removed).unwrap_or(u64::MAX))
            })
        })
    }

    /// Returns the next sessions whose messages are examined.
    fn aged_sessions(&self) -> BoxFuture<'_, Result<Vec<AgedSessionRow>, StoreError>> {
        Box::pin(async move {
            let after = self.mark(MARK).await?.map_or_else(String::new, |(_, id)| id);
            with_conn!(self, messages, |conn| {
                prepared_query!(NEXT_SESSIONS, Text: &after, BigInt: SESSIONS).load(conn).await
            })
        })
    }

    async fn prune_session(
        &self,
        row: AgedSessionRow,
        cutoffs: MessageCutoffs,
        limit: u32,
    ) -> Result<(), StoreError> {
        let is_old = |at: Option<i64>, cutoff: Option<Timestamp>| {
            at.zip(cutoff).filter(|(at, cutoff)| *at < cutoff.millis()).map(|(_, cutoff)| cutoff)
        };
        let owner = (row.organization, row.session);
        if let Some(cutoff) = is_old(row.oldest, cutoffs.messages) {
            self.remove_old_messages(owner.clone(), cutoff, limit).await?;
        }
        if let Some(cutoff) = is_old(row.oldest_body, cutoffs.bodies) {
            self.blank_old(owner.clone(), AgedPart::Body, cutoff, limit).await?;
        }
        if let Some(cutoff) = is_old(row.oldest_content, Some(cutoffs.contents)) {
            self.blank_old(owner, AgedPart::Encoded, cutoff, limit).await?;
        }
        Ok(())
    }

    fn remove_old_messages(
        &self,
        (organization, session): (String, String),
        cutoff: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let statement = remove_old_statement();
            let (limit, cutoff) = (i64::from(limit), cutoff.millis());
            with_conn!(self, write, |conn| {
                bound_query!(
                    &statement,
                    Text: &organization,
                    Text: &session,
                    BigInt: limit,
                    BigInt: cutoff
                )
                .execute(conn)
                .await
            })?;
            Ok(())
        })
    }

    /// Removes a part of the oldest messages of a session.
    fn blank_old(
        &self,
        (organization, session): (String, String),
        part: AgedPart,
        cutoff: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (statement, limit) = (aged_statement(part), i64::from(limit));
            let rows: Vec<AgedMessageRow> = with_conn!(self, read, |conn| {
                bound_query!(&statement, Text: &organization, Text: &session, BigInt: limit)
                    .load(conn)
                    .await
            })?;
            let old = rows.iter().take_while(|row| row.created_at < cutoff.millis());
            let Some(last) = old.last().map(|row| row.id) else { return Ok(()) };
            let (blank, mark) = (blank_statement(part), mark_statement(part));
            with_transaction!(self, |conn| {
                bound_query!(&blank, Text: &organization, Text: &session, BigInt: last)
                    .execute(conn)
                    .await?;
                bound_query!(mark, Text: &organization, Text: &session, BigInt: last)
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
    }
}

//! Implements the store of chats and messages for callers: every statement contains the caller's
//! scope.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::{
    OptionalExtension,
    prelude::*,
    sql_types::{Bool, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    Chat, ChatId, ChatNameText, Message, MessageDirection, MessageId, MessageStatus,
    OrganizationId, OutboxEntry, Scope, SessionId, SessionMessaging, Timestamp, WaMessageId,
    ports::{ChatPage, MessagePage, MessageStore, PortResult, Position},
};

use crate::{
    Database, StoreError,
    database::statements::{point_lookup, with_conn},
    rows::{
        chat::{ChatNameRow, ChatRow},
        column::{to_bigint, to_json},
        message::{CANCELLED, FAILED, MessageRow, OpenedMessage},
        messaging_keys::{ChatKeyRow, EntryKeyRow},
        outbox::OutboxRow,
        readable::{fill_page, readable},
        session_messaging::SessionMessagingRow,
    },
    schema::{chat_names, chats, messages},
    scope::{
        ScopedSessionId,
        bound_query::prepared_query,
        messages::{self as scope, MessageParams},
        messaging::{shown_chats_statement, shown_entries_statement, shown_messages_statement},
        number_keyset::NumberPosition,
    },
    tables::content::{ContentOwner, ContentPart},
};

/// Selects rows of a session of a caller by a list of keys.
macro_rules! load_listed {
    ($database:expr, $statement:ident, $session:expr, $keys:expr) => {{
        let list = to_json("messages", &$keys)?;
        let (statement, in_reach) = ($statement($database.kind()), $session.in_reach);
        with_conn!($database, messages, |conn| {
            prepared_query!(&statement, Text: &list, Bool: in_reach).load(conn).await
        })?
    }};
}

#[async_trait]
impl MessageStore for Database {
    async fn session_messaging(
        &self,
        scope: &Scope,
        session: &SessionId,
    ) -> PortResult<Option<SessionMessaging>> {
        let scoped_id = ScopedSessionId::new(scope, session);
        let row = point_lookup!(self, SessionMessagingRow, scope::session_messages(&scoped_id))?;
        Ok(row.map(SessionMessaging::try_from).transpose()?)
    }

    async fn chats(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &ChatPage,
    ) -> PortResult<Vec<Chat>> {
        let (scoped_id, page) = (ScopedSessionId::new(scope, session), page.clone());
        let after = chat_position(page.after.as_ref())?;
        self.run(|database| async move {
            let account = page.account.as_str();
            macro_rules! load {
                ($($narrowed:tt)*) => {
                    fill_page!(
                        page.limit,
                        after,
                        |after, row_limit| {
                            let rows: Vec<ChatRow> = with_conn!(database, read, |conn| {
                                scope::chat_page(&scoped_id, account, after)
                                    $($narrowed)*
                                    .select(ChatRow::as_select())
                                    .limit(row_limit)
                                    .load(conn)
                                    .await
                            })?;
                            rows
                        },
                        |row: &ChatRow| NumberPosition::at(row.position().0, row.position().1)
                    )
                };
            }
            let page = match page.filter.unread {
                None => load!(),
                Some(true) => load!(.filter(chats::unread.gt(0))),
                Some(false) => load!(.filter(chats::unread.eq(0))),
            };
            Ok(page)
        })
        .await
    }

    async fn chats_by_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        ids: &[ChatId],
    ) -> PortResult<Vec<Chat>> {
        let scoped_id = ScopedSessionId::new(scope, session);
        let ids =
            ids.iter().map(|id| to_bigint("chats.id", id.0)).collect::<Result<Vec<_>, _>>()?;
        self.run(|database| async move {
            let chats = database.load_chats(&scoped_id, &ids).await?;
            let merged: Vec<_> = chats.iter().filter_map(|chat| chat.merged_into).collect();
            let merged = merged
                .iter()
                .map(|id| to_bigint("chats.id", id.0))
                .collect::<Result<Vec<_>, _>>()?;
            let mut present: Vec<_> =
                chats.into_iter().filter(|chat| chat.merged_into.is_none()).collect();
            for chat in database.load_chats(&scoped_id, &merged).await? {
                if present.iter().all(|other| other.id != chat.id) {
                    present.push(chat);
                }
            }
            Ok(present)
        })
        .await
    }

    async fn chat_by_name(
        &self,
        scope: &Scope,
        session: &SessionId,
        account: &str,
        name: &ChatNameText,
    ) -> PortResult<Option<Chat>> {
        let scoped_id = ScopedSessionId::new(scope, session);
        let (account, name) = (account.to_owned(), name.text());
        self.run(|database| async move {
            let chat: Option<Option<i64>> = with_conn!(database, read, |conn| {
                scope::chat_name(&scoped_id, &account, &name)
                    .select(chat_names::chat)
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            let Some(chat) = chat.flatten() else { return Ok(None) };
            Ok(database.load_chats(&scoped_id, &[chat]).await?.pop())
        })
        .await
    }

    async fn messages(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &MessagePage,
    ) -> PortResult<Vec<Message>> {
        let (mut params, form) = page_params(scope, session, page)?;
        let (limit, start) = (page.limit, params.after);
        let scope = scope.clone();
        self.run(|database| async move {
            let mut after = start;
            let mut row_limit = i64::from(limit);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let mut page = Vec::new();
            loop {
                params.after = after;
                let rows = database.load_message_rows(&params, form, row_limit).await?;
                let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= row_limit);
                let last = rows.last().map(|row| (row.columns.at, row.columns.id));
                page.extend(
                    database.open_messages(scope.organization(), &params.session, rows).await?,
                );
                match last {
                    // Further rows replace unreadable ones, so that a short page is the last one.
                    Some((at, id)) if is_full && page.len() < limit => {
                        after = NumberPosition::at(at, id);
                    }
                    _ => break,
                }
                row_limit = i64::from(crate::rows::readable::FURTHER_ROWS);
            }
            page.truncate(limit);
            Ok(page)
        })
        .await
    }

    async fn messages_by_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        ids: &[MessageId],
    ) -> PortResult<Vec<Message>> {
        let (scope, scoped_id) = (scope.clone(), ScopedSessionId::new(scope, session));
        let ids =
            ids.iter().map(|id| to_bigint("messages.id", id.0)).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.run(|database| async move {
            let keys = ChatKeyRow::of_session(&scoped_id, &ids);
            let rows: Vec<MessageRow> =
                load_listed!(database, shown_messages_statement, &scoped_id, keys);
            database.open_messages(scope.organization(), &scoped_id, rows).await
        })
        .await
    }

    async fn messages_by_wa_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        wa_id: &WaMessageId,
    ) -> PortResult<Vec<Message>> {
        let (scope, scoped_id) = (scope.clone(), ScopedSessionId::new(scope, session));
        let wa_id = wa_id.to_string();
        self.run(|database| async move {
            let rows: Vec<MessageRow> = with_conn!(database, read, |conn| {
                scope::messages_by_wa_id(&scoped_id, &wa_id)
                    .select(MessageRow::as_select())
                    .load(conn)
                    .await
            })?;
            database.open_messages(scope.organization(), &scoped_id, rows).await
        })
        .await
    }
}

/// The index from which a page of messages is read.
#[derive(Clone, Copy)]
pub(crate) enum MessagePageForm {
    OfChat(i64),
    OfUnsent(i64),
    ByReference,
    OfSession,
}

/// Returns a name of chats of an account.
pub(crate) async fn name_of_chat(
    database: &Database,
    scoped_id: &ScopedSessionId,
    account: &str,
    name: &str,
) -> Result<Option<ChatNameRow>, StoreError> {
    with_conn!(database, read, |conn| {
        scope::chat_name(scoped_id, account, name)
            .select(ChatNameRow::as_select())
            .get_result(conn)
            .await
            .optional()
    })
}

fn chat_position(after: Option<&Position<ChatId>>) -> Result<NumberPosition, StoreError> {
    let Some(after) = after else { return Ok(NumberPosition::START) };
    let number = to_bigint("chats.id", after.id.0)?;
    Ok(NumberPosition::at(after.created_at.millis(), number))
}

fn page_params(
    scope: &Scope,
    session: &SessionId,
    page: &MessagePage,
) -> Result<(MessageParams, MessagePageForm), StoreError> {
    let filter = &page.filter;
    let mut after = match &page.after {
        None => NumberPosition::START,
        Some(after) => {
            let number = to_bigint("messages.id", after.id.0)?;
            NumberPosition::at(after.created_at.millis(), number)
        }
    };
    if let Some(until) = filter.until {
        after = after.further(NumberPosition::before_time(until.millis()));
    }
    let level = filter.status.map(level_column);
    let chat = filter.chat.map(|chat| to_bigint("messages.chat", chat.0)).transpose()?;
    let form = match (chat, level, &filter.reference) {
        (Some(chat), _, _) => MessagePageForm::OfChat(chat),
        (None, Some(level), _) if level <= 0 => MessagePageForm::OfUnsent(level),
        (None, _, Some(_)) => MessagePageForm::ByReference,
        (None, _, None) => MessagePageForm::OfSession,
    };
    let params = MessageParams {
        session: ScopedSessionId::new(scope, session),
        after,
        since: filter.since.map_or(i64::MIN, Timestamp::millis),
        inbound: filter.direction.map(|direction| direction == MessageDirection::In),
        level,
        reference: filter.reference.clone(),
    };
    Ok((params, form))
}

const fn level_column(status: MessageStatus) -> i64 {
    match status {
        MessageStatus::Cancelled => CANCELLED,
        MessageStatus::Failed => FAILED,
        MessageStatus::Queued => 0,
        MessageStatus::Sent => 1,
        MessageStatus::Delivered => 2,
        MessageStatus::Read => 3,
        MessageStatus::Played => 4,
    }
}

impl Database {
    async fn load_chats(
        &self,
        scoped_id: &ScopedSessionId,
        ids: &[i64],
    ) -> Result<Vec<Chat>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let keys = ChatKeyRow::of_session(scoped_id, ids);
        let rows: Vec<ChatRow> = load_listed!(self, shown_chats_statement, scoped_id, keys);
        Ok(readable(rows))
    }

    async fn load_message_rows(
        &self,
        params: &MessageParams,
        form: MessagePageForm,
        row_limit: i64,
    ) -> Result<Vec<MessageRow>, StoreError> {
        // One statement for each index, because a statement with optional conditions has none.
        macro_rules! load {
            ($($narrowed:tt)*) => {
                with_conn!(self, read, |conn| {
                    let rows: QueryResult<Vec<MessageRow>> = scope::message_page(params)
                        $($narrowed)*
                        .select(MessageRow::as_select())
                        .limit(row_limit)
                        .load(conn)
                        .await;
                    rows
                })
            };
        }
        match form {
            MessagePageForm::OfChat(chat) => load!(.filter(messages::chat.eq(chat))),
            MessagePageForm::OfUnsent(level) => {
                load!(.filter(messages::level.eq(level)).filter(scope::unsent()))
            }
            MessagePageForm::ByReference => {
                let reference = params.reference.as_deref().unwrap_or_default();
                load!(.filter(messages::reference.eq(reference)))
            }
            MessagePageForm::OfSession => load!(.filter(scope::of_all_chats())),
        }
    }

    /// Returns the readable messages of rows, with opened bodies.
    async fn open_messages(
        &self,
        organization: &OrganizationId,
        scoped_id: &ScopedSessionId,
        rows: Vec<MessageRow>,
    ) -> Result<Vec<Message>, StoreError> {
        let own: Vec<_> =
            rows.iter().filter(|row| row.columns.is_of_api()).map(|row| row.columns.id).collect();
        let mut entries = self.load_entries(scoped_id, &own).await?;
        let mut opened = Vec::new();
        for MessageRow { columns, body } in rows {
            let owner = ContentOwner { organization, session: scoped_id.id(), message: columns.id };
            let body = match body {
                Some(body) => self.reveal(&owner, ContentPart::Body, &body).await?,
                None => None,
            };
            opened.push(OpenedMessage { entry: entries.remove(&columns.id), columns, body });
        }
        Ok(readable(opened))
    }

    async fn load_entries(
        &self,
        scoped_id: &ScopedSessionId,
        ids: &[i64],
    ) -> Result<HashMap<i64, OutboxEntry>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let keys = EntryKeyRow::of_session(scoped_id, ids);
        let rows: Vec<OutboxRow> = load_listed!(self, shown_entries_statement, scoped_id, keys);
        let entry = |row: &OutboxRow| Some((row.message, OutboxEntry::try_from(row).ok()?));
        Ok(rows.iter().filter_map(entry).collect())
    }
}

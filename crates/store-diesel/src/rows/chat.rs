//! The tables `chats` and `chat_names`.

use diesel::prelude::*;
use domain::{
    Chat, ChatAddress, ChatId, ChatName, ChatNameText, ChatTimer, MessageId, SessionMessaging,
    Timestamp,
};
use serde::Serialize;

use crate::{
    StoreError,
    rows::column::{from_bigint, parse_optional, timestamp, to_bigint},
    schema::{chat_names, chats},
};

/// A row of `chats`.
#[derive(Queryable, Selectable, QueryableByName, Serialize)]
#[diesel(table_name = chats)]
pub(crate) struct ChatRow {
    organization: String,
    session: String,
    id: i64,
    account: String,
    phone: Option<String>,
    lid: Option<String>,
    group_jid: Option<String>,
    contact_name: Option<String>,
    push_name: Option<String>,
    unread: i64,
    last_at: i64,
    last_message: Option<i64>,
    timer_seconds: i64,
    timer_changed_at: i64,
    has_inbound: bool,
    merged_into: Option<i64>,
}

impl ChatRow {
    pub(crate) fn new(owner: &SessionMessaging, chat: &Chat) -> Result<Self, StoreError> {
        let id = |column, id: Option<u64>| id.map(|id| to_bigint(column, id)).transpose();
        Ok(Self {
            organization: owner.organization.to_string(),
            session: owner.session.to_string(),
            id: to_bigint("chats.id", chat.id.0)?,
            account: chat.account.clone(),
            phone: chat.phone.as_ref().map(ToString::to_string),
            lid: chat.lid.as_ref().map(ToString::to_string),
            group_jid: chat.group.as_ref().map(ToString::to_string),
            contact_name: chat.contact_name.clone(),
            push_name: chat.push_name.clone(),
            unread: to_bigint("chats.unread", chat.unread)?,
            last_at: chat.last_at.millis(),
            last_message: id("chats.last_message", chat.last_message.map(|id| id.0))?,
            timer_seconds: chat.timer.seconds.into(),
            timer_changed_at: chat.timer.changed_at.millis(),
            has_inbound: chat.has_inbound,
            merged_into: id("chats.merged_into", chat.merged_into.map(|id| id.0))?,
        })
    }

    /// Returns the session of the chat.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Returns the number of the chat.
    pub(crate) fn number(&self) -> i64 {
        self.id
    }

    /// Returns whether WhatsApp has not confirmed an account of the chat.
    pub(crate) fn has_no_address(&self) -> bool {
        self.phone.is_none() && self.lid.is_none() && self.group_jid.is_none()
    }

    /// Returns the position in the list: last activity and id.
    pub(crate) fn position(&self) -> (i64, i64) {
        (self.last_at, self.id)
    }

    fn chat(&self) -> Result<Chat, &'static str> {
        let address = |column, text: &Option<String>| {
            parse_optional(text.as_deref(), ChatAddress::parse).ok_or(column)
        };
        let id = |column, id| parse_optional(id, from_bigint).ok_or(column);
        Ok(Chat {
            id: ChatId(from_bigint(self.id).ok_or("chats.id")?),
            account: self.account.clone(),
            phone: address("chats.phone", &self.phone)?,
            lid: address("chats.lid", &self.lid)?,
            group: address("chats.group_jid", &self.group_jid)?,
            contact_name: self.contact_name.clone(),
            push_name: self.push_name.clone(),
            unread: from_bigint(self.unread).ok_or("chats.unread")?,
            last_at: Timestamp::from_millis(self.last_at),
            last_message: id("chats.last_message", self.last_message)?.map(MessageId),
            timer: ChatTimer {
                seconds: from_bigint(self.timer_seconds).ok_or("chats.timer_seconds")?,
                changed_at: Timestamp::from_millis(self.timer_changed_at),
            },
            has_inbound: self.has_inbound,
            merged_into: id("chats.merged_into", self.merged_into)?.map(ChatId),
        })
    }
}

impl TryFrom<ChatRow> for Chat {
    type Error = StoreError;

    fn try_from(row: ChatRow) -> Result<Self, StoreError> {
        row.chat()
            .map_err(|column| StoreError::corrupt(column, &format!("{}/{}", row.session, row.id)))
    }
}

/// A row of `chat_names`.
#[derive(Queryable, Selectable, QueryableByName, Serialize)]
#[diesel(table_name = chat_names)]
pub(crate) struct ChatNameRow {
    organization: String,
    session: String,
    name: String,
    account: String,
    chat: Option<i64>,
    checked_at: Option<i64>,
}

impl ChatNameRow {
    pub(crate) fn new(owner: &SessionMessaging, name: &ChatName) -> Result<Self, StoreError> {
        let chat = name.chat.map(|chat| to_bigint("chat_names.chat", chat.0));
        Ok(Self {
            organization: owner.organization.to_string(),
            session: owner.session.to_string(),
            name: name.name.text(),
            account: name.account.clone(),
            chat: chat.transpose()?,
            checked_at: name.checked_at.map(Timestamp::millis),
        })
    }

    /// Returns the session of the name.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    /// Returns the number of the chat.
    pub(crate) fn chat(&self) -> Option<i64> {
        self.chat
    }
}

impl TryFrom<ChatNameRow> for ChatName {
    type Error = StoreError;

    fn try_from(row: ChatNameRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::corrupt(column, &row.session);
        let chat =
            parse_optional(row.chat, from_bigint).ok_or_else(|| corrupt("chat_names.chat"))?;
        Ok(Self {
            name: ChatNameText::parse(&row.name).ok_or_else(|| corrupt("chat_names.name"))?,
            chat: chat.map(ChatId),
            checked_at: timestamp(row.checked_at),
            account: row.account,
        })
    }
}

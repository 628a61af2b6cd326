//! Store of chats and messages for callers.

use async_trait::async_trait;

use crate::{
    access::Scope,
    chat::model::{Chat, ChatId},
    id::{SessionId, WaMessageId},
    message::{
        list::{ChatFilter, MessageFilter},
        message_id::MessageId,
        model::Message,
    },
    messaging::state::{ChatNameText, SessionMessaging},
    ports::{error::PortResult, store::position::Position},
};

/// A page of the chats of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPage {
    /// Phone number of the account, digits only.
    pub account: String,
    /// Conditions on the chats.
    pub filter: ChatFilter,
    /// Only chats after this position, whose `created_at` is the time of the last activity. `None`
    /// begins at the newest.
    pub after: Option<Position<ChatId>>,
    /// Maximum number of chats.
    pub limit: u32,
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePage {
    /// Conditions on the messages.
    pub filter: MessageFilter,
    /// Only messages after this position, whose `created_at` is the time at WhatsApp. `None` begins
    /// at the newest.
    pub after: Option<Position<MessageId>>,
    /// Maximum number of messages.
    pub limit: u32,
}

/// Chats and messages of one session. Every statement contains the organization and the reach of
/// the scope, so that a session that is missing, foreign or out of reach has no chats and no
/// messages.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Returns the counters and marks of a session, if the session exists within the scope.
    async fn session_messaging(
        &self,
        scope: &Scope,
        session: &SessionId,
    ) -> PortResult<Option<SessionMessaging>>;

    /// Returns a page of the chats by last activity: by `last_at`, then by id, both descending.
    /// Chats that became a part of another one are missing.
    async fn chats(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &ChatPage,
    ) -> PortResult<Vec<Chat>>;

    /// Returns chats by their ids, in any order. For a chat that became a part of another one,
    /// returns the other one.
    async fn chats_by_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        ids: &[ChatId],
    ) -> PortResult<Vec<Chat>>;

    /// Returns the chat of an account with this name.
    async fn chat_by_name(
        &self,
        scope: &Scope,
        session: &SessionId,
        account: &str,
        name: &ChatNameText,
    ) -> PortResult<Option<Chat>>;

    /// Returns a page of the listed messages, newest first: by `at`, then by id, both descending.
    async fn messages(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &MessagePage,
    ) -> PortResult<Vec<Message>>;

    /// Returns listed messages by their numbers, in any order.
    async fn messages_by_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        ids: &[MessageId],
    ) -> PortResult<Vec<Message>>;

    /// Returns the listed messages with an id at WhatsApp, of any chat and sender, oldest first.
    async fn messages_by_wa_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        wa_id: &WaMessageId,
    ) -> PortResult<Vec<Message>>;
}

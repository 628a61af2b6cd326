//! Chats and messages of callers in memory.

use std::cmp::Reverse;

use async_trait::async_trait;

use crate::{
    access::Scope,
    chat::model::{Chat, ChatId},
    id::{SessionId, WaMessageId},
    message::{message_id::MessageId, model::Message},
    messaging::state::{ChatNameText, SessionMessaging},
    ports::{
        error::PortResult,
        store::messages::{ChatPage, MessagePage, MessageStore},
    },
    testing::memory::{
        messaging_rows::MessagingRows,
        state::{Memory, MemoryState},
    },
};

impl MemoryState {
    fn visible_messages(&mut self, scope: &Scope, session: &SessionId) -> Option<&MessagingRows> {
        self.visible(scope, session)?;
        self.messaging(session).map(|rows| &*rows)
    }
}

fn limited<T>(items: impl Iterator<Item = T>, limit: u32) -> Vec<T> {
    items.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect()
}

impl Memory {
    fn listed(
        &self,
        scope: &Scope,
        session: &SessionId,
        selects: impl Fn(&Message) -> bool,
    ) -> PortResult<Vec<Message>> {
        let mut state = self.state()?;
        let Some(rows) = state.visible_messages(scope, session) else { return Ok(Vec::new()) };
        let listed = rows.messages.values().filter(|it| it.is_listed() && selects(it));
        Ok(listed.map(|message| rows.read(message)).collect())
    }
}

#[async_trait]
impl MessageStore for Memory {
    async fn session_messaging(
        &self,
        scope: &Scope,
        session: &SessionId,
    ) -> PortResult<Option<SessionMessaging>> {
        let mut state = self.state()?;
        Ok(state.visible_messages(scope, session).map(|rows| rows.row.clone()))
    }

    async fn chats(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &ChatPage,
    ) -> PortResult<Vec<Chat>> {
        let mut state = self.state()?;
        let Some(rows) = state.visible_messages(scope, session) else { return Ok(Vec::new()) };
        let follows = |chat: &&Chat| {
            let after = page.after.as_ref();
            after.is_none_or(|after| (chat.last_at, chat.id) < (after.created_at, after.id))
        };
        let of_account = |chat: &&Chat| chat.account == page.account && chat.merged_into.is_none();
        let chats = rows.chats.values().filter(of_account).filter(follows);
        let mut chats: Vec<_> = chats.filter(|chat| page.filter.matches(chat)).cloned().collect();
        chats.sort_by_key(|chat| Reverse((chat.last_at, chat.id)));
        Ok(limited(chats.into_iter(), page.limit))
    }

    async fn chats_by_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        ids: &[ChatId],
    ) -> PortResult<Vec<Chat>> {
        let mut state = self.state()?;
        let Some(rows) = state.visible_messages(scope, session) else { return Ok(Vec::new()) };
        let present = |id: &ChatId| {
            let chat = rows.chats.get(id)?;
            chat.merged_into.map_or(Some(chat), |into| rows.chats.get(&into)).cloned()
        };
        Ok(ids.iter().filter_map(present).collect())
    }

    async fn chat_by_name(
        &self,
        scope: &Scope,
        session: &SessionId,
        account: &str,
        name: &ChatNameText,
    ) -> PortResult<Option<Chat>> {
        let mut state = self.state()?;
        let Some(rows) = state.visible_messages(scope, session) else { return Ok(None) };
        let name = rows.names.get(&(account.to_owned(), name.clone()));
        Ok(name.and_then(|name| rows.chats.get(&name.chat?)).cloned())
    }

    async fn messages(
        &self,
        scope: &Scope,
        session: &SessionId,
        page: &MessagePage,
    ) -> PortResult<Vec<Message>> {
        let mut messages = self.listed(scope, session, |message| {
            let after = page.after.as_ref();
            page.filter.matches(message)
                && after.is_none_or(|after| (message.at, message.id) < (after.created_at, after.id))
        })?;
        messages.sort_by_key(|message| Reverse((message.at, message.id)));
        Ok(limited(messages.into_iter(), page.limit))
    }

    async fn messages_by_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        ids: &[MessageId],
    ) -> PortResult<Vec<Message>> {
        self.listed(scope, session, |message| ids.contains(&message.id))
    }

    async fn messages_by_wa_id(
        &self,
        scope: &Scope,
        session: &SessionId,
        wa_id: &WaMessageId,
    ) -> PortResult<Vec<Message>> {
        self.listed(scope, session, |message| message.wa_id == *wa_id)
    }
}

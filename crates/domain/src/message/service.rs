//! Use cases of readers of messages. They work on a session that is stopped, because they read the
//! store alone.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    chat::{
        model::{Chat, ChatId},
        service::find_chat,
    },
    error::Result,
    id::{SessionId, WaMessageId},
    message::{
        address::ChatAddress,
        list::MessageFilter,
        message_id::MessageId,
        model::{Message, MessageSender},
    },
    messaging::{session_lookup::find_session, state::SessionMessaging},
    ports::store::{
        messages::{MessagePage, MessageStore},
        position::Position,
    },
};

/// A message with its chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownMessage {
    /// The message.
    pub message: Message,
    /// Its chat. `None` if the chat is unreadable.
    pub chat: Option<Chat>,
    /// Phone number of the account, digits only. Empty if unknown.
    pub account: String,
}

/// The requested page of a list of messages. The filter's chat is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageQuery {
    /// Conditions on the messages.
    pub filter: MessageFilter,
    /// See [`MessagePage::after`].
    pub after: Option<Position<MessageId>>,
    /// Maximum number of messages.
    pub limit: u32,
}

/// Conditions that narrow an id at WhatsApp, which is unique within a chat and a sender only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageNarrowing {
    /// The chat, as the caller names it.
    pub chat: Option<String>,
    /// Address of the sender.
    pub sender: Option<String>,
}

/// Use cases of readers of messages.
#[derive(Clone)]
pub struct Messages {
    store: Arc<dyn MessageStore>,
}

impl Messages {
    /// Creates the use cases over a store.
    pub fn new(store: Arc<dyn MessageStore>) -> Self {
        Self { store }
    }

    /// Returns a page of the messages of every chat of a session, newest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without [`Capability::Read`],
    /// [`Error::NotFound`](crate::Error::NotFound), and errors of the store.
    pub async fn list(
        &self,
        caller: &Caller,
        session: &str,
        query: &MessageQuery,
    ) -> Result<Vec<ShownMessage>> {
        let scope = caller.may(Capability::Read)?;
        let row = find_session(&*self.store, &scope, session).await?;
        self.page(&scope, &row, query, None).await
    }

    /// Returns a page of the messages of a chat, newest first.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn list_of_chat(
        &self,
        caller: &Caller,
        session: &str,
        chat: &str,
        query: &MessageQuery,
    ) -> Result<Vec<ShownMessage>> {
        let scope = caller.may(Capability::Read)?;
        let row = find_session(&*self.store, &scope, session).await?;
        let chat = find_chat(&*self.store, &scope, &row, chat).await?;
        self.page(&scope, &row, query, Some(chat)).await
    }

    /// Returns one message by its id at WhatsApp. Without a narrowing, a message of the account
    /// comes before messages of others, and an earlier one before a later one.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn view(
        &self,
        caller: &Caller,
        session: &str,
        wa_id: &str,
        narrowing: &MessageNarrowing,
    ) -> Result<ShownMessage> {
        let scope = caller.may(Capability::Read)?;
        let row = find_session(&*self.store, &scope, session).await?;
        let wa_id = or_not_found("message", WaMessageId::parse(wa_id))?;
        let chat = match &narrowing.chat {
            Some(chat) => Some(find_chat(&*self.store, &scope, &row, chat).await?),
            None => None,
        };
        let with_id = self.store.messages_by_wa_id(&scope, &row.session, &wa_id).await?;
        let shown = self.with_chats(&scope, &row, with_id).await?;
        let matching = shown.into_iter().filter(|shown| {
            chat.as_ref().is_none_or(|chat| shown.message.chat == chat.id)
                && narrowing.sender.as_ref().is_none_or(|sender| shown.is_from(sender))
        });
        let first = matching
            .min_by_key(|shown| (shown.message.sender != MessageSender::Account, shown.message.id));
        or_not_found("message", first)
    }

    async fn page(
        &self,
        scope: &Scope,
        row: &SessionMessaging,
        query: &MessageQuery,
        chat: Option<Chat>,
    ) -> Result<Vec<ShownMessage>> {
        let filter = MessageFilter { chat: chat.map(|chat| chat.id), ..query.filter.clone() };
        let page = MessagePage { filter, after: query.after.clone(), limit: query.limit };
        let messages = self.store.messages(scope, &row.session, &page).await?;
        self.with_chats(scope, row, messages).await
    }

    async fn with_chats(
        &self,
        scope: &Scope,
        row: &SessionMessaging,
        messages: Vec<Message>,
    ) -> Result<Vec<ShownMessage>> {
        self.shown(scope, &row.session, messages).await
    }

    /// Returns messages with their chats.
    pub(crate) async fn shown(
        &self,
        scope: &Scope,
        session: &SessionId,
        messages: Vec<Message>,
    ) -> Result<Vec<ShownMessage>> {
        let mut ids: Vec<_> = messages.iter().map(|message| message.chat).collect();
        ids.sort_unstable();
        ids.dedup();
        let chats = self.store.chats_by_id(scope, session, &ids).await?;
        let chats: BTreeMap<ChatId, Chat> = chats.into_iter().map(|chat| (chat.id, chat)).collect();
        let shown = |message: Message| {
            let chat = chats.get(&message.chat).cloned();
            let account = chat.as_ref().map_or_else(String::new, |chat| chat.account.clone());
            ShownMessage { message, chat, account }
        };
        Ok(messages.into_iter().map(shown).collect())
    }
}

impl ShownMessage {
    /// Returns the known addresses of the sender, the one by phone number first.
    pub fn sender_addresses(&self) -> Vec<ChatAddress> {
        let known: Vec<ChatAddress> = match &self.message.sender {
            MessageSender::Account => {
                let account = Some(&self.account).filter(|account| !account.is_empty());
                account.map(|account| ChatAddress::Phone(account.clone())).into_iter().collect()
            }
            MessageSender::Partner => {
                let chat = self.chat.iter();
                chat.flat_map(|chat| chat.phone.iter().chain(&chat.lid)).cloned().collect()
            }
            MessageSender::Member(address) => {
                [address].into_iter().chain(&self.message.sender_alt).cloned().collect()
            }
        };
        let (phone, other): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|address| address.phone().is_some());
        phone.into_iter().chain(other).collect()
    }

    /// Returns true if the sender has this address, or this phone number.
    fn is_from(&self, sender: &str) -> bool {
        let digits = sender.strip_prefix('+').unwrap_or(sender);
        self.sender_addresses()
            .iter()
            .any(|address| address.phone() == Some(digits) || address.to_string() == sender)
    }
}

//! Use cases of readers of chats.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    chat::model::{Chat, ChatId},
    error::Result,
    message::{address::ChatAddress, list::ChatFilter, model::Message, reference::ChatReference},
    messaging::{
        session_lookup::find_session,
        state::{ChatNameText, SessionMessaging},
    },
    ports::store::{
        messages::{ChatPage, MessageStore},
        position::Position,
    },
};

/// A chat with its last message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownChat {
    /// The chat.
    pub chat: Chat,
    /// The last listed message. `None` without a message, and after its removal.
    pub last_message: Option<Message>,
}

/// The requested page of the list of chats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatQuery {
    /// Phone number of an account that was linked to the session, digits only. `None` for the
    /// account that is linked, or was linked last.
    pub account: Option<String>,
    /// Conditions on the chats.
    pub filter: ChatFilter,
    /// See [`ChatPage::after`].
    pub after: Option<Position<ChatId>>,
    /// Maximum number of chats.
    pub limit: u32,
}

/// Use cases of readers of chats.
#[derive(Clone)]
pub struct Chats {
    store: Arc<dyn MessageStore>,
}

impl Chats {
    /// Creates the use cases over a store.
    pub fn new(store: Arc<dyn MessageStore>) -> Self {
        Self { store }
    }

    /// Returns a page of the chats of a session, by last activity.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::Error::Forbidden) without [`Capability::Read`],
    /// [`Error::NotFound`](crate::Error::NotFound), and errors of the store.
    pub async fn list(
        &self,
        caller: &Caller,
        session: &str,
        query: &ChatQuery,
    ) -> Result<Vec<ShownChat>> {
        let scope = caller.may(Capability::Read)?;
        let row = find_session(&*self.store, &scope, session).await?;
        let account = query.account.clone().or_else(|| row.account.clone());
        let page = ChatPage {
            account: account.unwrap_or_default(),
            filter: query.filter.clone(),
            after: query.after.clone(),
            limit: query.limit,
        };
        let chats = self.store.chats(&scope, &row.session, &page).await?;
        self.with_messages(&scope, &row, chats).await
    }

    /// Returns one chat by its id, an address or a phone number.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn view(&self, caller: &Caller, session: &str, chat: &str) -> Result<ShownChat> {
        let scope = caller.may(Capability::Read)?;
        let row = find_session(&*self.store, &scope, session).await?;
        let chat = find_chat(&*self.store, &scope, &row, chat).await?;
        let mut shown = self.with_messages(&scope, &row, vec![chat]).await?;
        or_not_found("chat", shown.pop())
    }

    async fn with_messages(
        &self,
        scope: &Scope,
        row: &SessionMessaging,
        chats: Vec<Chat>,
    ) -> Result<Vec<ShownChat>> {
        let ids: Vec<_> = chats.iter().filter_map(|chat| chat.last_message).collect();
        let messages = self.store.messages_by_id(scope, &row.session, &ids).await?;
        let mut messages: BTreeMap<_, _> =
            messages.into_iter().map(|message| (message.id, message)).collect();
        let shown = |chat: Chat| {
            let last_message = chat.last_message.and_then(|id| messages.remove(&id));
            ShownChat { chat, last_message }
        };
        Ok(chats.into_iter().map(shown).collect())
    }
}

/// Returns the chat that a caller names.
///
/// # Errors
/// [`Error::NotFound`](crate::Error::NotFound), and errors of the store.
pub(crate) async fn find_chat(
    store: &dyn MessageStore,
    scope: &Scope,
    row: &SessionMessaging,
    text: &str,
) -> Result<Chat> {
    let chat = match ChatReference::parse(text) {
        Ok(reference) => known_chat(store, scope, row, &reference).await?,
        Err(_) => None,
    };
    or_not_found("chat", chat)
}

/// Returns the chat of a reference, if it is known. Digits are a name that WhatsApp confirmed, or a
/// phone number.
///
/// # Errors
/// Errors of the store.
pub(crate) async fn known_chat(
    store: &dyn MessageStore,
    scope: &Scope,
    row: &SessionMessaging,
    reference: &ChatReference,
) -> Result<Option<Chat>> {
    let account = row.account.as_deref().unwrap_or_default();
    let names = match reference {
        ChatReference::Id(id) => {
            return Ok(store.chats_by_id(scope, &row.session, &[*id]).await?.pop());
        }
        ChatReference::Digits(digits) => vec![
            ChatNameText::Digits(digits.clone()),
            ChatNameText::Address(ChatAddress::Phone(digits.clone())),
        ],
        ChatReference::Address(address) => vec![ChatNameText::from(address)],
    };
    for name in names {
        let chat = store.chat_by_name(scope, &row.session, account, &name).await?;
        if chat.is_some() {
            return Ok(chat);
        }
    }
    Ok(None)
}

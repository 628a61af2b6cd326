//! Live requests of a session: they need a connection to WhatsApp now.

use std::time::Duration;

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    chat::{
        model::Chat,
        service::{ShownChat, find_chat},
    },
    commit::Decision,
    error::{Error, Result},
    gateway::node::Node,
    id::SessionId,
    message::{
        kind::MessageDirection,
        list::MessageFilter,
        message_id::MessageId,
        model::{Message, MessageSender},
        state::{AckLevel, MessageStatus},
    },
    messaging::{draft::Draft, session_lookup::find_session, state::MessagingLookup},
    outbox::{message_field::MessageField, service::Outbox},
    ports::{
        messaging_control::{ChatActivity, ContactCheck, ReadMessages},
        store::messages::MessagePage,
    },
    session::{model::Session, status::Status},
    violation::{FieldPath, Violation},
};

/// `Retry-After` of a session that is not connected.
const RECONNECT: Duration = Duration::from_secs(5);
/// Maximum number of ids in one receipt.
const MAX_READ: u32 = 256;

/// A connected session with its node.
pub(crate) struct LiveSession {
    pub(crate) session: Session,
    pub(crate) node: Node,
}

impl Outbox {
    /// Asks WhatsApp for the account of a phone number, digits only.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], and those of a session that is not connected:
    /// [`Error::NotPaired`], [`Error::Unavailable`], [`Error::NotImplemented`].
    pub async fn check_contact(
        &self,
        caller: &Caller,
        session: &str,
        phone: &str,
    ) -> Result<ContactCheck> {
        let scope = caller.may(Capability::Read)?;
        let session = self.find_session(&scope, session).await?;
        let live = self.require_live(session).await?;
        self.ask_whatsapp(&live, phone).await
    }

    /// Shows in a chat what the account does.
    ///
    /// # Errors
    /// As [`check_contact`](Self::check_contact).
    pub async fn show_activity(
        &self,
        caller: &Caller,
        session: &str,
        chat: &str,
        activity: ChatActivity,
    ) -> Result<()> {
        let scope = caller.may(Capability::Send)?;
        let row = find_session(&*self.ports.messages, &scope, session).await?;
        let chat = find_chat(&*self.ports.messages, &scope, &row, chat).await?;
        let session = self.find_session(&scope, session).await?;
        let LiveSession { session, node } = self.require_live(session).await?;
        let address = or_not_found("chat", chat.address())?.to_string();
        let (control, epoch) = (&self.ports.control, session.spec.epoch);
        Ok(control.chat_presence(&node, &session.id, epoch, &address, activity).await?)
    }

    /// Marks received messages of a chat as read, up to a message or all of them. With `receipts`,
    /// their senders learn this.
    ///
    /// # Errors
    /// As [`check_contact`](Self::check_contact); [`Error::Validation`] for an unknown message.
    /// Without receipts, the session need not be connected.
    pub async fn read_chat(
        &self,
        caller: &Caller,
        session: &str,
        chat: &str,
        up_to: Option<&str>,
        receipts: bool,
    ) -> Result<ShownChat> {
        let scope = caller.may(Capability::Send)?;
        let row = find_session(&*self.ports.messages, &scope, session).await?;
        let found = find_chat(&*self.ports.messages, &scope, &row, chat).await?;
        let last = match up_to {
            Some(wa_id) => Some(self.message_of_chat(&scope, &row.session, &found, wa_id).await?),
            None => None,
        };
        let live = if receipts {
            let session = self.find_session(&scope, session).await?;
            Some(self.require_live(session).await?)
        } else {
            None
        };
        loop {
            let unread = self.unread(&scope, &row.session, &found, last.as_ref()).await?;
            if unread.is_empty() {
                break;
            }
            if let Some(live) = &live {
                self.send_receipts(live, &found, &unread).await?;
            }
            self.mark_read(&scope, &row.session, &unread).await?;
            if unread.len() < MAX_READ as usize {
                break;
            }
        }
        self.chats.view(caller, session, &found.id.to_string()).await
    }

    async fn message_of_chat(
        &self,
        scope: &Scope,
        session: &SessionId,
        chat: &Chat,
        wa_id: &str,
    ) -> Result<Message> {
        let with_id = match crate::id::WaMessageId::parse(wa_id) {
            Some(wa_id) => self.ports.messages.messages_by_wa_id(scope, session, &wa_id).await?,
            None => Vec::new(),
        };
        with_id.into_iter().rfind(|message| message.chat == chat.id).ok_or_else(|| {
            let field = FieldPath::Message(MessageField::UpTo);
            Error::Validation(vec![Violation::new(field, "no such message in the chat")])
        })
    }

    /// Returns the newest unread messages of a chat, up to a message.
    async fn unread(
        &self,
        scope: &Scope,
        session: &SessionId,
        chat: &Chat,
        last: Option<&Message>,
    ) -> Result<Vec<Message>> {
        let filter = MessageFilter {
            chat: Some(chat.id),
            direction: Some(MessageDirection::In),
            until: last.map(|last| last.at.plus(Duration::from_millis(1))),
            status: Some(MessageStatus::Delivered),
            ..MessageFilter::default()
        };
        let page = MessagePage { filter, after: None, limit: MAX_READ };
        let mut unread = self.ports.messages.messages(scope, session, &page).await?;
        unread.retain(|message| {
            last.is_none_or(|last| (message.at, message.id) <= (last.at, last.id))
        });
        Ok(unread)
    }

    /// Tells the senders of messages of one chat that the messages were read. The sender of an
    /// undecryptable message learns nothing.
    async fn send_receipts(
        &self,
        live: &LiveSession,
        chat: &Chat,
        unread: &[Message],
    ) -> Result<()> {
        let Some(address) = chat.address() else { return Ok(()) };
        let mut authors: Vec<Option<String>> = Vec::new();
        let author = |message: &Message| match &message.sender {
            MessageSender::Member(member) => Some(member.to_string()),
            MessageSender::Account | MessageSender::Partner => None,
        };
        let readable = || unread.iter().filter(|message| !message.flags.undecryptable);
        for message in readable() {
            if !authors.contains(&author(message)) {
                authors.push(author(message));
            }
        }
        for of in authors {
            let ids = readable().filter(|message| author(message) == of);
            let ids = ids.map(|message| message.wa_id.to_string()).collect();
            let read = ReadMessages { chat: address.to_string(), author: of, ids };
            let LiveSession { session, node } = live;
            self.ports.control.mark_read(node, &session.id, session.spec.epoch, &read).await?;
        }
        Ok(())
    }

    async fn mark_read(
        &self,
        scope: &Scope,
        session: &SessionId,
        unread: &[Message],
    ) -> Result<()> {
        let ids: Vec<MessageId> = unread.iter().map(|message| message.id).collect();
        let lookup = MessagingLookup {
            session: session.clone(),
            names: [].into(),
            wa_ids: unread.iter().map(|message| message.wa_id.clone()).collect(),
        };
        self.change(&lookup, |state| {
            let mut draft = Draft::new(&state, scope.actor(), &*self.ports.environment);
            draft.read_all(&ids, AckLevel::Read);
            Ok(Decision::Write(draft.into_commit(), ()))
        })
        .await
    }

    /// Asks WhatsApp for the account of one address.
    pub(crate) async fn ask_whatsapp(
        &self,
        live: &LiveSession,
        address: &str,
    ) -> Result<ContactCheck> {
        let LiveSession { session, node } = live;
        let addresses = [address.to_owned()];
        let (control, epoch) = (&self.ports.control, session.spec.epoch);
        let mut checked = control.check_contacts(node, &session.id, epoch, &addresses).await?;
        checked.pop().ok_or_else(|| Error::Internal("the node checked no address".into()))
    }

    pub(crate) async fn find_session(&self, scope: &Scope, id: &str) -> Result<Session> {
        let session = match SessionId::parse(id) {
            Some(id) => self.ports.sessions.find(scope, &id).await?,
            None => None,
        };
        let session = or_not_found("session", session)?;
        Ok(self.ports.leases.apply(session, self.ports.environment.now()))
    }

    /// Returns the node of a session that is connected.
    ///
    /// # Errors
    /// [`Error::NotPaired`], [`Error::Unavailable`] without a connection, and [`Error::NotImplemented`]
    /// if the node sends no messages.
    pub(crate) async fn require_live(&self, session: Session) -> Result<LiveSession> {
        if !session.is_paired() {
            return Err(Error::NotPaired);
        }
        self.live(session).await?.ok_or_else(|| Error::Unavailable {
            retry_after: RECONNECT,
            source: "the session is not connected".into(),
        })
    }

    /// Returns the session with its node if it is connected.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] if the node sends no messages, and errors of the store.
    pub(crate) async fn live(&self, session: Session) -> Result<Option<LiveSession>> {
        if session.observed.status != Status::Working {
            return Ok(None);
        }
        let Some(gateway) = &session.gateway else { return Ok(None) };
        let now = self.ports.environment.now();
        let node = self.ports.nodes.find(gateway).await?;
        let live = node.filter(|node| node.is_live(now, self.deadlines.lease));
        match live {
            Some(node) if !node.supports_messages() => Err(Error::NotImplemented),
            live => Ok(live.map(|node| LiveSession { session, node })),
        }
    }
}

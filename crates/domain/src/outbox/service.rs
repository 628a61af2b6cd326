//! The use cases of messages to send: accept, wait, cancel.

use std::sync::Arc;

use crate::{
    access::{Scope, or_not_found},
    caller::{Caller, Capability},
    chat::service::Chats,
    commit::Decision,
    deadlines::Deadlines,
    error::{Error, Result},
    gateway::leases::Leases,
    id::{SessionId, WaMessageId},
    message::{
        message_id::MessageId,
        model::MessageSender,
        service::{Messages, ShownMessage},
        state::{FailureReason, MessageFailure, MessageStatus},
    },
    messaging::{
        change::{AcceptanceKey, MessagingCommit},
        draft::Draft,
        session_lookup::find_session,
        state::{MessageHeader, MessagingLookup, MessagingState},
        turns::MessagingTurns,
    },
    outbox::{
        model::OutboxState,
        request::NewMessage,
        sent::{OutboxLimits, SendMode, SentMessage},
        session_messages::SessionMessages,
    },
    ports::{
        environment::Environment,
        messaging_control::MessagingControl,
        notify::{Notifier, Topic},
        store::{
            messages::MessageStore, messaging::MessagingStore, nodes::NodeStore,
            outbox::OutboxStore, sessions::SessionStore,
        },
    },
};

/// Ports of [`Outbox`].
#[derive(Clone)]
pub struct OutboxPorts {
    /// Store of sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Store of nodes.
    pub nodes: Arc<dyn NodeStore>,
    /// Store of chats and messages for callers.
    pub messages: Arc<dyn MessageStore>,
    /// Store of the messages of all organizations.
    pub messaging: Arc<dyn MessagingStore>,
    /// Store of the outbox.
    pub outbox: Arc<dyn OutboxStore>,
    /// Messages to nodes, and live requests.
    pub control: Arc<dyn MessagingControl>,
    /// Clock and id generator.
    pub environment: Arc<dyn Environment>,
    /// Wakes the sender of messages, and the requests that wait for a message.
    pub notifier: Arc<dyn Notifier>,
    /// Leases of the nodes, as the worker last read them.
    pub leases: Arc<Leases>,
    /// Turns of the changes of this process.
    pub turns: MessagingTurns,
}

/// Use cases of messages to send and of live requests.
#[derive(Clone)]
pub struct Outbox {
    pub(super) ports: OutboxPorts,
    pub(super) deadlines: Deadlines,
    pub(super) limits: OutboxLimits,
    pub(super) chats: Chats,
    messages: Messages,
}

const HANDED_OVER: &str = "the message was handed over, or has ended";

impl Outbox {
    /// Creates the use cases over these ports.
    pub fn new(ports: OutboxPorts, deadlines: Deadlines, limits: OutboxLimits) -> Self {
        let (chats, messages) =
            (Chats::new(ports.messages.clone()), Messages::new(ports.messages.clone()));
        Self { ports, deadlines, limits, chats, messages }
    }

    /// Accepts a message. A request with a key that was accepted before gets that message.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Validation`], [`Error::NotPaired`], a conflict
    /// for a key of another request, [`Error::Undeliverable`] for a number without an account, and
    /// [`Error::RateLimited`] for a full queue; in [`SendMode::Sync`] also for an exhausted rate, and
    /// [`Error::Unavailable`] without a connection. Nothing is accepted with an error, except that an
    /// error of the store leaves this open.
    pub async fn send(
        &self,
        caller: &Caller,
        session: &str,
        message: &NewMessage,
        mode: SendMode,
        key: Option<AcceptanceKey>,
    ) -> Result<SentMessage> {
        let scope = caller.may(Capability::Send)?;
        let violations = message.violations(self.ports.environment.now());
        if !violations.is_empty() {
            return Err(Error::Validation(violations));
        }
        let session = self.find_session(&scope, session).await?;
        if let Some(key) = &key
            && let Some(sent) = self.find_accepted(&scope, &session.id, key, mode).await?
        {
            return Ok(sent);
        }
        let id = session.id.clone();
        match self.accept(&scope, session, message, mode, key.clone()).await {
            Ok(sent) => Ok(sent),
            // A request with the same key may have been accepted in between.
            Err(error) => match &key {
                Some(key) => self.find_accepted(&scope, &id, key, mode).await?.ok_or(error),
                None => Err(error),
            },
        }
    }

    /// Waits until WhatsApp has an accepted message, the message fails, or the time is over. Returns
    /// at once in [`SendMode::Async`].
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`] for a session that was deleted in the meantime, and
    /// errors of the store. The message stays accepted.
    pub async fn wait(
        &self,
        caller: &Caller,
        session: &str,
        mut sent: SentMessage,
    ) -> Result<SentMessage> {
        if sent.mode == SendMode::Async || !sent.is_queued() {
            return Ok(sent);
        }
        let scope = caller.may(Capability::Send)?;
        let session = &or_not_found("session", SessionId::parse(session))?;
        let now = || self.ports.environment.now();
        let until = now().plus(self.limits.wait);
        let mut subscription = self.ports.notifier.clone().subscribe(Topic::Messages(session));
        loop {
            let message = sent.shown.message.id;
            sent = self.sent(&scope, session, message, sent.mode, sent.replayed).await?;
            if !sent.is_queued() || now() >= until {
                return Ok(sent);
            }
            // Every change of the session's messages wakes the request.
            subscription.wait(None, now().until(until)).await;
        }
    }

    /// Cancels a message that waits and was never handed over. A cancelled message stays cancelled.
    ///
    /// # Errors
    /// [`Error::Forbidden`], [`Error::NotFound`], a conflict for a message that was handed over or has
    /// ended, and errors of the store.
    pub async fn cancel(
        &self,
        caller: &Caller,
        session: &str,
        wa_id: &str,
    ) -> Result<ShownMessage> {
        let scope = caller.may(Capability::Send)?;
        let row = find_session(&*self.ports.messages, &scope, session).await?;
        let wa_id = or_not_found("message", WaMessageId::parse(wa_id))?;
        let lookup = MessagingLookup {
            session: row.session.clone(),
            names: [].into(),
            wa_ids: [wa_id].into(),
        };
        let id = self
            .change(&lookup, |state| {
                let own = state.messages.iter().find(|header| header.entry.is_some());
                let header = or_not_found("message", own)?;
                if header.state.status() == MessageStatus::Cancelled {
                    return Ok(Decision::Keep(header.id));
                }
                if !is_cancellable(header) {
                    return Err(Error::conflict(HANDED_OVER));
                }
                let mut draft = Draft::new(&state, scope.actor(), &*self.ports.environment);
                draft.fail(header.id, MessageFailure::of(FailureReason::Cancelled));
                Ok(Decision::Write(draft.into_commit(), header.id))
            })
            .await?;
        self.show(&scope, &row.session, id).await
    }

    /// Returns the message of an earlier request with the key.
    ///
    /// # Errors
    /// A conflict for a key of another request, and errors of the store.
    async fn find_accepted(
        &self,
        scope: &Scope,
        session: &SessionId,
        key: &AcceptanceKey,
        mode: SendMode,
    ) -> Result<Option<SentMessage>> {
        let Some(found) = self.ports.outbox.entry_by_key(scope, &key.key_hash).await? else {
            return Ok(None);
        };
        if found.key.request != key.request || found.session != *session {
            return Err(Error::conflict("this idempotency key was used for another request"));
        }
        self.sent(scope, session, found.message, mode, true).await.map(Some)
    }

    async fn sent(
        &self,
        scope: &Scope,
        session: &SessionId,
        message: MessageId,
        mode: SendMode,
        replayed: bool,
    ) -> Result<SentMessage> {
        let shown = self.show(scope, session, message).await?;
        let mut sent = SentMessage { shown, mode, replayed, queue_position: None };
        if sent.is_queued() {
            let before = self.ports.outbox.waiting_before(scope, session, message).await?;
            sent.queue_position = Some(before);
        }
        Ok(sent)
    }

    async fn show(
        &self,
        scope: &Scope,
        session: &SessionId,
        message: MessageId,
    ) -> Result<ShownMessage> {
        let found = self.ports.messages.messages_by_id(scope, session, &[message]).await?;
        let shown = self.messages.shown(scope, session, found).await?.pop();
        or_not_found("message", shown)
    }

    /// Returns the stored state that a decision needs.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a session that was deleted in the meantime, and errors of the store.
    pub(super) async fn state(&self, lookup: &MessagingLookup) -> Result<MessagingState> {
        let mut found = self.ports.messaging.messaging_states(std::slice::from_ref(lookup)).await?;
        or_not_found("session", found.pop())
    }

    /// Changes the messages of a session by a decision about the stored state.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a session that was deleted in the meantime, errors of the decision, and
    /// errors of the store.
    pub(super) async fn change<R>(
        &self,
        lookup: &MessagingLookup,
        decide: impl Fn(MessagingState) -> Result<Decision<MessagingCommit, R>>,
    ) -> Result<R> {
        self.messages_of(&lookup.session).change(|| self.state(lookup), decide).await
    }

    pub(super) fn messages_of<'a>(&'a self, session: &'a SessionId) -> SessionMessages<'a> {
        let OutboxPorts { messaging, notifier, turns, .. } = &self.ports;
        SessionMessages { session, store: &**messaging, notifier: &**notifier, turns }
    }
}

/// Returns whether no node ever had the message.
fn is_cancellable(header: &MessageHeader) -> bool {
    let is_new = |state, attempts| state == OutboxState::Queued && attempts == 0;
    header.sender == MessageSender::Account
        && header.entry.as_ref().is_some_and(|entry| is_new(entry.state, entry.attempts))
}

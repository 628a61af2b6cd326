//! The acceptance of a message: one commit with its id at WhatsApp and its place in the queue.

use crate::{
    access::Scope,
    commit::Decision,
    error::{Error, Result},
    id::{OutboxId, WaMessageId},
    message::{
        details::MessageDetails,
        kind::{MessageKind, MessageSource},
        model::{Message, MessageFlags, MessageSender},
        service::ShownMessage,
        state::{AckLevel, MessageState},
    },
    messaging::{
        change::{AcceptanceKey, NewOutboxEntry},
        draft::Draft,
        session_lookup::find_session,
        state::{MessagingLookup, MessagingState},
    },
    outbox::{
        model::{OutboxEntry, OutboxState},
        pace::{Pace, PaceQuotas},
        recipient::Recipient,
        request::{DEFAULT_EXPIRY, NewMessage},
        sent::{SendMode, SentMessage},
        service::Outbox,
    },
    ports::environment::Environment,
    rate_quota::RateQuota,
    session::model::Session,
    time::Timestamp,
};

use std::time::Duration;

/// `Retry-After` of a full queue.
const QUEUE_RETRY: Duration = Duration::from_secs(60);

impl Outbox {
    /// Accepts a message.
    pub(super) async fn accept(
        &self,
        scope: &Scope,
        session: Session,
        message: &NewMessage,
        mode: SendMode,
        key: Option<AcceptanceKey>,
    ) -> Result<SentMessage> {
        if !session.is_paired() {
            return Err(Error::NotPaired);
        }
        if mode == SendMode::Sync {
            self.require_pace(&session).await?;
        }
        let id = session.id.clone();
        let mut row = find_session(&*self.ports.messages, scope, id.as_str()).await?;
        self.require_room(row.queued)?;
        // A session that was linked to another number still has that number's chats.
        row.account = session.observed.identity.as_ref().map(|identity| identity.phone.clone());
        let live = match mode {
            SendMode::Sync => Some(self.require_live(session).await?),
            SendMode::Async => self.live(session).await?,
        };
        let recipient = self.recipient(scope, &row, &message.to, live.as_ref(), mode).await?;
        let lookup = MessagingLookup { session: id, names: recipient.names(), wa_ids: [].into() };
        self.change(&lookup, |state| {
            self.require_room(state.row.queued)?;
            if state.phone.is_none() {
                return Err(Error::NotPaired);
            }
            let (shown, draft) = self.accepted(scope, &state, &recipient, message, key.clone());
            // All messages that wait were accepted before.
            let queue_position = Some(state.row.queued);
            let sent = SentMessage { shown, mode, replayed: false, queue_position };
            Ok(Decision::Write(draft.into_commit(), sent))
        })
        .await
    }

    /// Returns the message, and the draft with the message in the queue.
    fn accepted<'a>(
        &'a self,
        scope: &Scope,
        state: &MessagingState,
        recipient: &Recipient,
        message: &NewMessage,
        key: Option<AcceptanceKey>,
    ) -> (ShownMessage, Draft<'a>) {
        let environment: &dyn Environment = &*self.ports.environment;
        let mut draft = Draft::new(state, scope.actor(), environment);
        let now = environment.now();
        let chat = recipient.chat(&mut draft);
        let id = draft.next_message_id();
        let wa_id = WaMessageId::mint(environment.ulid());
        let outbox = OutboxId::from_bits(environment.ulid());
        let accepted = Message {
            id,
            wa_id: wa_id.clone(),
            chat,
            sender: MessageSender::Account,
            sender_alt: None,
            sender_name: None,
            source: MessageSource::Api,
            kind: MessageKind::Text,
            flags: MessageFlags::default(),
            state: MessageState::Reached(AckLevel::Queued),
            // As WhatsApp's times: an answer in the same second comes afterwards.
            at: now.whole_seconds(),
            created_at: now,
            updated_at: now,
            ephemeral_seconds: draft.timer_seconds(chat),
            reference: message.reference.clone(),
            outbox: Some(outbox.clone()),
            awaits_ack: false,
            details: Some(MessageDetails {
                body: Some(message.text.clone()),
                ..MessageDetails::default()
            }),
            content: None,
        };
        draft.insert_own(accepted.clone());
        let account = state.phone.clone().unwrap_or_default();
        let entry = OutboxEntry {
            id: outbox,
            message: id,
            wa_id,
            chat,
            account: account.clone(),
            state: OutboxState::Queued,
            typing_millis: message.typing_millis,
            accepted_at: now,
            due: now,
            expires_at: message.expires_at.unwrap_or(now.plus(DEFAULT_EXPIRY)),
            first_handed_at: None,
            handed_at: None,
            attempts: 0,
        };
        draft.add_entry(NewOutboxEntry { entry, key });
        draft.row.account = state.phone.clone().or(draft.row.account.take());
        (ShownMessage { message: accepted, chat: draft.chat(chat), account }, draft)
    }

    /// Checks that the queue of a session has room.
    fn require_room(&self, queued: u64) -> Result<()> {
        let limit = self.limits.queue;
        if limit == 0 || queued < u64::from(limit) {
            return Ok(());
        }
        let rate_quota = RateQuota { name: "message_queue", count: limit, window: QUEUE_RETRY };
        Err(Error::RateLimited { rate_quota, retry_after: QUEUE_RETRY })
    }

    /// Checks that a message may be handed over now.
    async fn require_pace(&self, session: &Session) -> Result<()> {
        let now = self.ports.environment.now();
        match self.pace(session, now).await?.exhausted {
            Some((rate_quota, at)) => {
                Err(Error::RateLimited { rate_quota, retry_after: now.until(at) })
            }
            None => Ok(()),
        }
    }

    /// Returns how many messages of a session may be handed over now.
    pub(super) async fn pace(&self, session: &Session, now: Timestamp) -> Result<Pace> {
        let mut pace = Pace::FREE;
        for quota in PaceQuotas::of(&session.settings).0.into_iter().flatten() {
            let since = quota.since(now);
            let (organization, id) = (&session.organization, &session.id);
            let outbox = &self.ports.outbox;
            let times = outbox.hand_overs(organization, id, since, quota.count).await?;
            pace = pace.with(quota, times);
        }
        Ok(pace)
    }

    /// Records that digits have no account at WhatsApp.
    pub(super) async fn remember_no_account(
        &self,
        row: &crate::messaging::state::SessionMessaging,
        digits: &str,
        now: Timestamp,
    ) -> Result<()> {
        let names = [crate::messaging::state::ChatNameText::Digits(digits.to_owned())].into();
        let lookup = MessagingLookup { session: row.session.clone(), names, wa_ids: [].into() };
        self.change(&lookup, |state| {
            let system = crate::caller::Actor::System;
            let mut draft = Draft::new(&state, &system, &*self.ports.environment);
            draft.name_digits(digits, None, Some(now));
            Ok(Decision::Write(draft.into_commit(), ()))
        })
        .await
    }
}

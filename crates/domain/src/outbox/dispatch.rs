//! A dispatch: hands messages of a session that wait to its node.
//!
//! The decision is committed before the node hears of the messages, so that a message which a node
//! may have is never cancelled or given to another account.
//!
//! Decision: ADR 0049.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    caller::Actor,
    commit::Decision,
    error::{Error, Result},
    gateway::node::Node,
    id::SessionId,
    message::{
        message_id::MessageId,
        state::{FailureReason, MessageFailure},
    },
    messaging::{
        change::MessagingCommit,
        draft::Draft,
        state::{MessageHeader, MessagingLookup, MessagingState},
    },
    outbox::{
        hand_over::Batch,
        model::{OutboxEntry, OutboxState},
        pace::Pace,
        plan::{Circumstances, Plan, REPEAT, RETRY, not_after, plan},
        service::Outbox,
    },
    ports::{
        messaging_control::{OutboundMessage, OutboundMessages},
        store::{
            outbox::{DueOutbox, WaitingMessages},
            worker::Claim,
        },
    },
    session::{settings::Settings, status::Status},
    time::Timestamp,
};

/// Maximum number of waiting messages that one dispatch reads.
const MAX_WAITING: u32 = 200;
/// Maximum number of messages that one commit ends.
const MAX_ENDED: u32 = 500;
/// Time until the next dispatch if the node sends no messages.
const UNSUPPORTED_RETRY: Duration = Duration::from_secs(60);
/// Typing time of one character, by which a session imitates a person.
const TYPING_PER_CHARACTER: u64 = 45;
/// Shortest and longest typing time.
const TYPING_BOUNDS: (u64, u64) = (900, 8_000);

/// The messages of a session that wait, and what a dispatch does with them.
pub(super) struct Situation {
    pub(super) waiting: WaitingMessages,
    /// The node that can take messages now.
    pub(super) node: Option<Node>,
    pub(super) plan: Plan,
    /// The texts of the messages to hand over.
    texts: BTreeMap<MessageId, String>,
    /// Time of the next dispatch if the stored status promises a connection.
    retry: Option<Duration>,
}

impl Situation {
    /// Returns whether steps outside of the store precede the decision.
    fn needs_preparation(&self) -> bool {
        let asks_node = !self.plan.unaddressed.is_empty() || self.waiting.state.auto_read;
        !self.plan.ended.is_empty() || (self.node.is_some() && asks_node)
    }
}

/// The result of the first decision of a dispatch.
#[expect(clippy::large_enum_variant, reason = "lives for one match")]
enum DispatchStep {
    /// Steps outside of the store come first.
    Prepare(Situation),
    /// The decision is committed.
    Decided(Option<Batch>),
}

impl Outbox {
    /// Claims sessions whose outbox is due.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn claim(&self, claim: &Claim) -> Result<Vec<DueOutbox>> {
        Ok(self.ports.outbox.claim_outboxes(claim).await?)
    }

    /// Gives a claimed outbox back, which is due again.
    ///
    /// # Errors
    /// Errors of the store. The outbox becomes due when the claim ends.
    pub async fn release(&self, due: &DueOutbox) -> Result<()> {
        let now = self.ports.environment.now();
        Ok(self.ports.outbox.release_outbox(due, now).await?)
    }

    /// Returns the earliest due time of an outbox.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        Ok(self.ports.outbox.next_outbox_due().await?)
    }

    /// Ends messages of a session that cannot be sent any more, hands over those that may leave now,
    /// and marks received messages as read if the session does so by itself.
    ///
    /// # Errors
    /// Errors of the store. The outbox becomes due again.
    pub async fn dispatch(&self, session: &SessionId) -> Result<()> {
        let messages = self.messages_of(session);
        let find = || self.situation(session);
        let step = messages.change(find, |situation| {
            Ok(match situation {
                Some(situation) if situation.needs_preparation() => {
                    Decision::Keep(DispatchStep::Prepare(situation))
                }
                other => self.decide(other.as_ref()).map(DispatchStep::Decided),
            })
        });
        let batch = match step.await? {
            DispatchStep::Decided(batch) => batch,
            DispatchStep::Prepare(situation) => {
                self.prepare(session, situation).await?;
                messages.change(find, |situation| Ok(self.decide(situation.as_ref()))).await?
            }
        };
        match batch {
            Some(batch) => self.hand_over(session, batch).await,
            None => Ok(()),
        }
    }

    /// Performs the steps that a decision of a dispatch needs. They ask the node, so that other
    /// changes of the session do not wait for them.
    async fn prepare(&self, session: &SessionId, mut situation: Situation) -> Result<()> {
        if !situation.plan.ended.is_empty() {
            self.end_messages(session).await?;
            let Some(next) = self.situation(session).await? else { return Ok(()) };
            situation = next;
        }
        if situation.node.is_some() {
            self.confirm_digits(&situation).await?;
            if situation.waiting.state.auto_read {
                self.read_received(&situation).await?;
            }
        }
        Ok(())
    }

    /// Ends messages that have expired or belong to another account, wherever they are in the queue.
    async fn end_messages(&self, session: &SessionId) -> Result<()> {
        let all = MessagingLookup { session: session.clone(), names: [].into(), wa_ids: [].into() };
        loop {
            let account = match self.state(&all).await {
                Ok(state) => state.phone.unwrap_or_default(),
                // A deleted session has no messages.
                Err(Error::NotFound { .. }) => return Ok(()),
                Err(error) => return Err(error),
            };
            let now = self.ports.environment.now();
            let find = || async {
                let outbox = &self.ports.outbox;
                Ok(outbox.ended_messages(session, &account, now, MAX_ENDED).await?)
            };
            let messages = self.messages_of(session);
            let ended = messages.change(find, |state: Option<MessagingState>| {
                let Some(state) = state.filter(|state| !state.messages.is_empty()) else {
                    return Ok(Decision::Keep(0));
                };
                let mut draft = Draft::new(&state, &Actor::System, &*self.ports.environment);
                for header in &state.messages {
                    let is_expired =
                        header.entry.as_ref().is_some_and(|entry| entry.expires_at <= now);
                    let reason = if is_expired {
                        FailureReason::Expired
                    } else {
                        FailureReason::SessionUnlinked
                    };
                    draft.fail(header.id, MessageFailure::of(reason));
                }
                Ok(Decision::Write(draft.into_commit(), state.messages.len()))
            });
            if ended.await? < MAX_ENDED as usize {
                return Ok(());
            }
        }
    }

    /// Returns the messages that wait, the node, and the pace of the session.
    async fn situation(&self, session: &SessionId) -> Result<Option<Situation>> {
        let now = self.ports.environment.now();
        let waiting = self.ports.outbox.waiting_messages(session, now, MAX_WAITING).await?;
        let Some(waiting) = waiting else { return Ok(None) };
        let pace = if waiting.state.messages.is_empty() {
            Pace::FREE
        } else {
            self.pace(&waiting.session, now).await?
        };
        let is_working = waiting.session.observed.status == Status::Working;
        let gateway = waiting.session.gateway.as_ref().filter(|_| is_working);
        let node = match gateway {
            Some(gateway) => self.ports.nodes.find(gateway).await?,
            None => None,
        };
        let (node, retry) = match node.filter(|node| node.is_live(now, self.deadlines.lease)) {
            Some(node) if node.supports_messages() => (Some(node), None),
            Some(_) => (None, Some(UNSUPPORTED_RETRY)),
            // The lease may begin anew without a change of the session.
            None => (None, is_working.then_some(RETRY)),
        };
        let circumstances = Circumstances {
            now,
            acknowledgement: self.limits.acknowledgement,
            is_connected: node.is_some(),
            pace,
            next_expiry: waiting.next_expiry,
        };
        let plan = plan(&waiting.state, &circumstances);
        let texts = match plan.handed.as_slice() {
            [] => BTreeMap::new(),
            handed => {
                let organization = &waiting.session.organization;
                self.ports.outbox.message_texts(organization, session, handed).await?
            }
        };
        Ok(Some(Situation { waiting, node, plan, texts, retry }))
    }

    /// Decides about the messages that wait. Every dispatch stores the time of the next one.
    fn decide(&self, situation: Option<&Situation>) -> Decision<MessagingCommit, Option<Batch>> {
        let Some(situation) = situation else { return Decision::Keep(None) };
        let WaitingMessages { state, .. } = &situation.waiting;
        let now = self.ports.environment.now();
        let plan = &situation.plan;
        let mut draft = Draft::new(state, &Actor::System, &*self.ports.environment);
        for (id, failure) in &plan.ended {
            draft.fail(*id, *failure);
        }
        let mut batch = Vec::new();
        for header in plan.handed.iter().filter_map(|id| header_of(state, *id)) {
            match self.outbound(situation, header, now) {
                Some((entry, message)) => {
                    draft.replace_entry(entry);
                    batch.push((header.wa_id.clone(), message));
                }
                None => draft.fail(header.id, MessageFailure::of(FailureReason::Internal)),
            }
        }
        let retry = situation.retry.filter(|_| !state.messages.is_empty());
        let retry = retry.map(|retry| now.plus(retry));
        draft.row.outbox_due = [plan.next, retry].into_iter().flatten().min();
        let (wa_ids, messages): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let node = situation.node.clone().filter(|_| !messages.is_empty());
        let batch = node.map(|node| Batch {
            node,
            messages: OutboundMessages {
                epoch: situation.waiting.session.spec.epoch,
                account: state.phone.clone(),
                messages,
            },
            wa_ids,
        });
        Decision::Write(draft.into_commit(), batch)
    }

    /// Returns the entry after a hand-over, and the message for the node. `None` without a text or an
    /// address.
    fn outbound(
        &self,
        situation: &Situation,
        header: &MessageHeader,
        now: Timestamp,
    ) -> Option<(OutboxEntry, OutboundMessage)> {
        let WaitingMessages { session, state, .. } = &situation.waiting;
        let text = situation.texts.get(&header.id)?.clone();
        let entry = header.entry.clone()?;
        let chat = state.chats.iter().find(|chat| chat.id == header.chat)?;
        let message = OutboundMessage {
            outbox: entry.id.to_string(),
            chat: header.chat.0,
            wa_id: header.wa_id.to_string(),
            to: chat.address()?.to_string(),
            typing: typing(&entry, &session.settings, &text),
            text,
            ephemeral_seconds: Some(chat.timer.seconds).filter(|seconds| *seconds > 0),
            not_after: not_after(&entry, now, self.limits.acknowledgement),
        };
        let handed = OutboxEntry {
            state: OutboxState::Handed,
            due: now.plus(REPEAT),
            first_handed_at: entry.first_handed_at.or(Some(now)),
            handed_at: Some(now),
            attempts: entry.attempts.saturating_add(1),
            ..entry
        };
        Some((handed, message))
    }
}

fn header_of(state: &MessagingState, id: MessageId) -> Option<&MessageHeader> {
    state.messages.iter().find(|header| header.id == id)
}

/// Returns how long the receiver sees the account typing.
fn typing(entry: &OutboxEntry, settings: &Settings, text: &str) -> Option<Duration> {
    let (shortest, longest) = TYPING_BOUNDS;
    let imitated = || {
        let characters = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        characters.saturating_mul(TYPING_PER_CHARACTER).clamp(shortest, longest)
    };
    let millis = match entry.typing_millis {
        Some(millis) => u64::from(millis),
        None if settings.presence_typing => imitated(),
        None => 0,
    };
    (millis > 0).then(|| Duration::from_millis(millis))
}

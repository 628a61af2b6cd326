//! A hand-over: a node gets messages whose dispatch is committed, and its answer is stored.

use std::time::Duration;

use crate::{
    caller::Actor,
    commit::Decision,
    error::{Error, Result},
    gateway::node::Node,
    id::{SessionId, WaMessageId},
    message::state::{AckLevel, FailureReason, MessageFailure},
    messaging::{
        draft::Draft,
        state::{MessageHeader, MessagingLookup},
    },
    outbox::service::Outbox,
    ports::{
        messaging_control::{
            HandOver, HandOverOutcome, HandOverRefusal, NodeMessageState, OutboundMessages,
        },
        session_control::GatewayError,
    },
    time::Timestamp,
};

/// Time after which a message is handed over that the node could not take.
const REFUSED_RETRY: Duration = Duration::from_secs(2);

/// Messages for a node, decided and committed.
pub(super) struct Batch {
    pub(super) node: Node,
    pub(super) messages: OutboundMessages,
    /// Ids of the messages at WhatsApp.
    pub(super) wa_ids: Vec<WaMessageId>,
}

impl Outbox {
    /// Hands messages over, and stores what the node answers. Without an answer, the hand-over is
    /// repeated.
    pub(super) async fn hand_over(&self, session: &SessionId, batch: Batch) -> Result<()> {
        let Batch { node, messages, wa_ids } = batch;
        let answered = self.ports.control.send(&node, session, &messages).await;
        let is_unreachable = matches!(answered, Err(GatewayError::Unreachable(_)));
        let mut answers = match answered {
            Ok(answers) => answers,
            // The node has no memory of the session, and so of no message; or the node did not get these.
            Err(GatewayError::Unknown | GatewayError::Unreachable(_)) => {
                let refused = HandOverOutcome::Refused(HandOverRefusal::NotWorking);
                let outboxes = messages.messages.into_iter().map(|message| message.outbox);
                outboxes.map(|outbox| HandOver { outbox, outcome: refused.clone() }).collect()
            }
            Err(_) => return Ok(()),
        };
        // The journal of the node tells the rest about the others.
        answers.retain(|answer| changes_message(&answer.outcome));
        if answers.is_empty() {
            return Ok(());
        }
        let lookup = MessagingLookup {
            session: session.clone(),
            names: [].into(),
            wa_ids: wa_ids.into_iter().collect(),
        };
        let written = self.change(&lookup, |state| {
            let mut draft = Draft::new(&state, &Actor::System, &*self.ports.environment);
            let mut is_changed = false;
            for answer in &answers {
                let of_answer = |header: &&MessageHeader| {
                    header.outbox().is_some_and(|outbox| outbox.to_string() == answer.outbox)
                };
                let header = state.messages.iter().find(of_answer);
                // The node may have a repeated message from before.
                let header = header.filter(|header| !is_unreachable || is_first(header));
                if let Some(header) = header {
                    let now = self.ports.environment.now();
                    apply_answer(&mut draft, header, &answer.outcome, now);
                    is_changed = true;
                }
            }
            Ok(if is_changed {
                Decision::Write(draft.into_commit(), ())
            } else {
                Decision::Keep(())
            })
        });
        match written.await {
            // A deleted session has no messages.
            Err(Error::NotFound { .. }) => Ok(()),
            written => written,
        }
    }
}

/// Returns whether the last hand-over of a message is its first one.
fn is_first(header: &MessageHeader) -> bool {
    header.entry.as_ref().is_some_and(|entry| entry.first_handed_at == entry.handed_at)
}

/// Returns whether the answer of a node says more than that it holds the message.
fn changes_message(outcome: &HandOverOutcome) -> bool {
    match outcome {
        HandOverOutcome::Taken(state) => *state == NodeMessageState::Sent,
        HandOverOutcome::Refused(_) => true,
    }
}

/// Applies an answer of a node that changes a message.
fn apply_answer(
    draft: &mut Draft<'_>,
    header: &MessageHeader,
    outcome: &HandOverOutcome,
    now: Timestamp,
) {
    let refusal = match outcome {
        HandOverOutcome::Taken(_) => return draft.raise(header.id, AckLevel::Sent),
        HandOverOutcome::Refused(refusal) => refusal,
    };
    let is_expired = || header.entry.as_ref().is_none_or(|entry| entry.expires_at <= now);
    let reason = match refusal {
        HandOverRefusal::NotWorking | HandOverRefusal::QueueFull => {
            return draft.queue_again(header.id, now.plus(REFUSED_RETRY));
        }
        HandOverRefusal::Expired if !is_expired() => return draft.queue_again(header.id, now),
        HandOverRefusal::Expired => FailureReason::Expired,
        HandOverRefusal::OtherAccount => FailureReason::SessionUnlinked,
        HandOverRefusal::Unsupported | HandOverRefusal::Invalid => FailureReason::Internal,
    };
    draft.fail(header.id, MessageFailure::of(reason));
}

//! Conversions of messages to nodes and of their answers.

use domain::ports::{
    ChatActivity, ContactCheck, HandOver, HandOverOutcome, HandOverRefusal, NodeCancellation,
    NodeMessageState, OutboundMessage, OutboundMessages,
};

use super::{MAX_JID, bounded, millis};
use crate as wire;

impl From<&OutboundMessages> for wire::SendMessages {
    fn from(messages: &OutboundMessages) -> Self {
        Self {
            epoch: messages.epoch,
            account: messages.account.clone(),
            items: messages.messages.iter().map(Into::into).collect(),
        }
    }
}

impl From<&OutboundMessage> for wire::OutgoingMessage {
    fn from(message: &OutboundMessage) -> Self {
        let typing = message.typing.map(millis);
        Self {
            outbox: message.outbox.clone(),
            // Databases store keys as signed 64-bit integers.
            chat: i64::try_from(message.chat).unwrap_or(i64::MAX),
            wa_id: message.wa_id.clone(),
            to: message.to.clone(),
            content: wire::OutgoingContent::Text { text: message.text.clone() },
            typing_ms: typing.map(|typing| u32::try_from(typing).unwrap_or(u32::MAX)),
            ephemeral: message.ephemeral_seconds,
            not_after: message.not_after.millis(),
        }
    }
}

impl From<wire::MessagesTaken> for Vec<HandOver> {
    fn from(answer: wire::MessagesTaken) -> Self {
        let taken = answer.taken.into_iter().map(|taken| {
            let state = state(taken.state, &taken.code.unwrap_or_default());
            HandOver { outbox: taken.outbox, outcome: HandOverOutcome::Taken(state) }
        });
        let refused = answer.refused.into_iter().map(|refused| {
            let outcome = HandOverOutcome::Refused(refused.code.into());
            HandOver { outbox: refused.outbox, outcome }
        });
        taken.chain(refused).collect()
    }
}

fn state(state: wire::SendState, code: &str) -> NodeMessageState {
    let code = bounded(code, MAX_JID);
    match state {
        wire::SendState::Queued => NodeMessageState::Queued,
        wire::SendState::Written => NodeMessageState::Written,
        wire::SendState::Sent => NodeMessageState::Sent,
        wire::SendState::Rejected => NodeMessageState::Rejected(code),
        wire::SendState::Expired => NodeMessageState::Expired,
        wire::SendState::Uncertain => NodeMessageState::Uncertain,
        wire::SendState::Failed => NodeMessageState::Failed(code),
        wire::SendState::Cancelled => NodeMessageState::Cancelled,
    }
}

impl From<wire::RefusedCode> for HandOverRefusal {
    fn from(code: wire::RefusedCode) -> Self {
        match code {
            wire::RefusedCode::NotWorking => Self::NotWorking,
            wire::RefusedCode::QueueFull => Self::QueueFull,
            wire::RefusedCode::OtherAccount => Self::OtherAccount,
            wire::RefusedCode::Unsupported => Self::Unsupported,
            wire::RefusedCode::Expired => Self::Expired,
            wire::RefusedCode::Invalid => Self::Invalid,
        }
    }
}

impl From<wire::CancelOutcome> for NodeCancellation {
    fn from(outcome: wire::CancelOutcome) -> Self {
        match outcome {
            wire::CancelOutcome::Gone => Self::Gone,
            wire::CancelOutcome::TooLate => Self::TooLate,
            wire::CancelOutcome::Unknown => Self::Unknown,
        }
    }
}

impl From<wire::CheckedContact> for ContactCheck {
    fn from(contact: wire::CheckedContact) -> Self {
        Self {
            asked: contact.asked,
            registered: contact.registered,
            jid: contact.jid.map(|jid| bounded(&jid, MAX_JID)),
            lid: contact.lid.map(|lid| bounded(&lid, MAX_JID)),
            business: contact.business,
        }
    }
}

impl From<ChatActivity> for wire::ChatActivity {
    fn from(activity: ChatActivity) -> Self {
        match activity {
            ChatActivity::Composing => Self::Composing,
            ChatActivity::Recording => Self::Recording,
            ChatActivity::Paused => Self::Paused,
        }
    }
}

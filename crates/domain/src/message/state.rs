//! How far a message has come: levels that only rise, and failures.

use crate::{message::kind::MessageDirection, time::Timestamp};

/// How far a message has come. Levels only rise: an acknowledgement that arrives late lowers no
/// level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AckLevel {
    /// Accepted by berth.
    Queued,
    /// Acknowledged by WhatsApp.
    Sent,
    /// On a device of the receiver.
    Delivered,
    /// Displayed to the receiver.
    Read,
    /// Played by the receiver.
    Played,
}

impl AckLevel {
    /// Every level, lowest first.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Sent, Self::Delivered, Self::Read, Self::Played];

    /// Returns the number of the level: 0 for [`Self::Queued`] to 4 for [`Self::Played`].
    pub const fn number(self) -> i8 {
        match self {
            Self::Queued => 0,
            Self::Sent => 1,
            Self::Delivered => 2,
            Self::Read => 3,
            Self::Played => 4,
        }
    }

    /// Returns the level with this number, or `None`.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| i64::from(level.number()) == number)
    }
}

/// Reason why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// Not handed over before its expiry.
    Expired,
    /// Cancelled by a caller before it was handed over.
    Cancelled,
    /// The number has no account.
    NotOnWhatsapp,
    /// WhatsApp does not let the account begin new conversations now.
    ReachoutLimited,
    /// WhatsApp refused the message.
    Rejected,
    /// WhatsApp has no device of the receiver.
    RecipientUnavailable,
    /// The session was unlinked, or linked to another number.
    SessionUnlinked,
    /// The session was deleted.
    SessionDeleted,
    /// The message could not be encrypted.
    EncryptionFailed,
    /// Handed over, without an acknowledgement in time. Whether the receiver has the message is
    /// unknown.
    Uncertain,
    /// An internal error.
    Internal,
}

impl FailureReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::Expired,
        Self::Cancelled,
        Self::NotOnWhatsapp,
        Self::ReachoutLimited,
        Self::Rejected,
        Self::RecipientUnavailable,
        Self::SessionUnlinked,
        Self::SessionDeleted,
        Self::EncryptionFailed,
        Self::Uncertain,
        Self::Internal,
    ];

    /// Returns the stable name, as stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::NotOnWhatsapp => "not_on_whatsapp",
            Self::ReachoutLimited => "reachout_limited",
            Self::Rejected => "rejected",
            Self::RecipientUnavailable => "recipient_unavailable",
            Self::SessionUnlinked => "session_unlinked",
            Self::SessionDeleted => "session_deleted",
            Self::EncryptionFailed => "encryption_failed",
            Self::Uncertain => "uncertain",
            Self::Internal => "internal",
        }
    }

    /// Returns the reason with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Returns the text for people.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Expired => "the message was not sent before its expiry",
            Self::Cancelled => "the message was cancelled",
            Self::NotOnWhatsapp => "the number is not on WhatsApp",
            Self::ReachoutLimited => {
                "WhatsApp does not let the account begin new conversations now"
            }
            Self::Rejected => "WhatsApp refused the message",
            Self::RecipientUnavailable => "WhatsApp has no device of the receiver",
            Self::SessionUnlinked => "the session was unlinked",
            Self::SessionDeleted => "the session was deleted",
            Self::EncryptionFailed => "the message could not be encrypted",
            Self::Uncertain => {
                "WhatsApp did not acknowledge the message in time; the receiver may have it"
            }
            Self::Internal => "internal error",
        }
    }
}

/// A failure of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFailure {
    /// The reason.
    pub reason: FailureReason,
    /// Code of WhatsApp. `None` for a failure that WhatsApp did not report.
    pub code: Option<u16>,
    /// Time from which a new message may succeed. `None` if unknown.
    pub retry_at: Option<Timestamp>,
}

impl MessageFailure {
    /// Creates a failure without a code of WhatsApp.
    pub const fn of(reason: FailureReason) -> Self {
        Self { reason, code: None, retry_at: None }
    }
}

/// State of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageState {
    /// The message reached this level.
    Reached(AckLevel),
    /// The message was not sent, or its fate is unknown.
    Failed(MessageFailure),
}

/// Name of a message's state, as callers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageStatus {
    /// Accepted, and not acknowledged by WhatsApp yet.
    Queued,
    /// Acknowledged by WhatsApp.
    Sent,
    /// On a device of the receiver.
    Delivered,
    /// Displayed to the receiver.
    Read,
    /// Played by the receiver.
    Played,
    /// Not sent, or of unknown fate.
    Failed,
    /// Cancelled before it was handed over.
    Cancelled,
}

impl MessageStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Played,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the stable name, as sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the status with this name, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

impl MessageState {
    /// Returns the state of a new message that berth did not send.
    pub const fn at_arrival(direction: MessageDirection) -> Self {
        match direction {
            MessageDirection::In => Self::Reached(AckLevel::Delivered),
            MessageDirection::Out => Self::Reached(AckLevel::Sent),
        }
    }

    /// Returns the state after an acknowledgement of `level`. `None` if the acknowledgement changes
    /// nothing. An acknowledgement decides the fate of an uncertain message.
    pub fn raised(self, level: AckLevel) -> Option<Self> {
        let rises = match self {
            Self::Reached(known) => level > known,
            Self::Failed(failure) => {
                failure.reason == FailureReason::Uncertain && level > AckLevel::Queued
            }
        };
        rises.then_some(Self::Reached(level))
    }

    /// Returns the state after a failure. `None` if WhatsApp already has the message, or the message
    /// failed before.
    pub fn failed(self, failure: MessageFailure) -> Option<Self> {
        (self == Self::Reached(AckLevel::Queued)).then_some(Self::Failed(failure))
    }

    /// Returns the status.
    pub fn status(self) -> MessageStatus {
        match self {
            Self::Reached(AckLevel::Queued) => MessageStatus::Queued,
            Self::Reached(AckLevel::Sent) => MessageStatus::Sent,
            Self::Reached(AckLevel::Delivered) => MessageStatus::Delivered,
            Self::Reached(AckLevel::Read) => MessageStatus::Read,
            Self::Reached(AckLevel::Played) => MessageStatus::Played,
            Self::Failed(failure) if failure.reason == FailureReason::Cancelled => {
                MessageStatus::Cancelled
            }
            Self::Failed(_) => MessageStatus::Failed,
        }
    }

    /// Returns the number of the level, or −1 for a failure.
    pub const fn level_number(self) -> i8 {
        match self {
            Self::Reached(level) => level.number(),
            Self::Failed(_) => -1,
        }
    }

    /// Returns the failure.
    pub const fn failure(self) -> Option<MessageFailure> {
        match self {
            Self::Reached(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUED: MessageState = MessageState::Reached(AckLevel::Queued);

    fn failed(reason: FailureReason) -> MessageState {
        MessageState::Failed(MessageFailure::of(reason))
    }

    #[test]
    fn levels_only_rise() {
        for (index, from) in AckLevel::ALL.into_iter().enumerate() {
            for (other, to) in AckLevel::ALL.into_iter().enumerate() {
                let raised = MessageState::Reached(from).raised(to);
                let expected = (other > index).then_some(MessageState::Reached(to));
                assert_eq!(raised, expected, "{from:?} {to:?}");
            }
            assert_eq!(AckLevel::from_number(from.number().into()), Some(from));
        }
    }

    #[test]
    fn acknowledgement_settles_an_uncertain_message_only() {
        let sent = Some(MessageState::Reached(AckLevel::Sent));
        for reason in FailureReason::ALL {
            let raised = failed(reason).raised(AckLevel::Sent);
            assert_eq!(raised, sent.filter(|_| reason == FailureReason::Uncertain), "{reason:?}");
            assert_eq!(failed(reason).raised(AckLevel::Queued), None);
        }
    }

    #[test]
    fn failure_ends_queued_messages_only() {
        let failure = MessageFailure::of(FailureReason::Expired);
        assert_eq!(QUEUED.failed(failure), Some(MessageState::Failed(failure)));
        assert_eq!(MessageState::Reached(AckLevel::Sent).failed(failure), None);
        assert_eq!(failed(FailureReason::Rejected).failed(failure), None);
        assert_eq!(failed(FailureReason::Cancelled).status(), MessageStatus::Cancelled);
        assert_eq!((QUEUED.level_number(), failed(FailureReason::Expired).level_number()), (0, -1));
    }
}

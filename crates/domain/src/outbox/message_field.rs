//! Parts of requests about messages.

/// A part of a request to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageField {
    /// The receiver.
    To,
    /// The text.
    Text,
    /// The time after which the message is not sent.
    ExpiresAt,
    /// The duration of the typing indicator.
    Typing,
    /// The text of the caller.
    Reference,
    /// The last message that was read.
    UpTo,
}

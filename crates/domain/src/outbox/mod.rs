//! The outbox: messages that callers gave berth to send.

pub(crate) mod model;

//! The outbox: messages that callers gave berth to send.
//!
//! A message gets its id at WhatsApp when it is accepted, in one commit with its place in the queue. A
//! dispatch decides which messages of a session may be handed to its node now, commits that decision,
//! and hands them over. The node's journal tells the fate of each, so that a crash between any two
//! steps only repeats a step.

pub(crate) mod acceptance;
pub(crate) mod dispatch;
pub(crate) mod hand_over;
pub(crate) mod live;
pub(crate) mod message_field;
pub(crate) mod model;
pub(crate) mod pace;
pub(crate) mod plan;
pub(crate) mod preparation;
pub(crate) mod recipient;
pub(crate) mod request;
pub(crate) mod sent;
pub(crate) mod service;
pub(crate) mod session_messages;

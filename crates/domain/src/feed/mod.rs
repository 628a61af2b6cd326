//! The feed: the events of all organizations in one order, in which streams and webhooks resume.

pub(crate) mod filter;
pub(crate) mod position;

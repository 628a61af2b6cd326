//! The handlers, one function for each operation: read the input, call the use case, render the
//! response. The operation doc of each stands above it.

pub(crate) mod admin;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod browser_sessions;
pub(crate) mod docs;
pub(crate) mod event_streams;
pub(crate) mod health;
pub(crate) mod issuer_login;
pub(crate) mod link_page;
pub(crate) mod messages;
pub(crate) mod pairing;
pub(crate) mod sending;
pub(crate) mod sessions;
pub(crate) mod share_links;
pub(crate) mod ui;
pub(crate) mod webhook_actions;
pub(crate) mod webhook_reports;
pub(crate) mod webhooks;
pub(crate) mod whoami;

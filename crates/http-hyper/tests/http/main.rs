//! The HTTP API over real sockets and memory stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "an unexpected result fails the test, also in shared code"
)]

mod access_log;
mod api_keys;
mod audit_and_admin;
mod authorization;
mod authorization_matrix;
mod bad_input;
mod browser;
mod browser_logins;
mod browser_sessions;
mod caller_kinds;
mod client;
mod conditions;
mod conformity;
mod document;
mod documentation;
mod event_client;
mod event_documents;
mod event_streams;
mod fake_reconciler;
mod filters;
mod health;
mod idempotency;
mod inbound;
mod issuer_logins;
mod link_holders;
mod listener;
mod messages;
mod mutations;
mod nodes;
mod operation_calls;
mod patches;
mod quotas;
mod rates;
mod realtime;
mod realtime_peers;
mod request_permits;
mod schema_bounds;
mod sending;
mod sessions;
mod share_links;
mod stream_limits;
mod test_server;
mod ui;
mod ui_files;
mod unauthenticated_peers;
mod unread_bodies;
mod webhooks;
mod whoami;

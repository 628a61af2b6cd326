//! Conversions between domain values and columns, one file per table. No file here knows a
//! connection.

pub(crate) mod api_key;
pub(crate) mod bind_params;
pub(crate) mod browser_session;
pub(crate) mod chat;
pub(crate) mod cleanup;
pub(crate) mod column;
pub(crate) mod data_key;
pub(crate) mod dead_letter;
pub(crate) mod delivery_flush;
pub(crate) mod event;
pub(crate) mod hex;
pub(crate) mod idempotency;
pub(crate) mod json_rows;
pub(crate) mod link_attempt;
pub(crate) mod message;
pub(crate) mod message_json;
pub(crate) mod messaging_change;
pub(crate) mod messaging_keys;
pub(crate) mod node;
pub(crate) mod orphan;
pub(crate) mod outbox;
pub(crate) mod readable;
pub(crate) mod retry_queue;
pub(crate) mod session;
pub(crate) mod session_json;
pub(crate) mod session_messaging;
pub(crate) mod share_link;
pub(crate) mod usage;
pub(crate) mod webhook;
pub(crate) mod webhook_attempt;
pub(crate) mod webhook_progress;

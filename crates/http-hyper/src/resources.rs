//! The use cases and other dependencies that handlers call.

use std::sync::Arc;

use domain::{
    ApiKeys, Audit, Chats, Messages, Operators, Outbox, Sessions, ShareLinks, Webhooks,
    ports::Environment,
};

use crate::{
    browser::dependencies::Browser,
    readiness::{Exposition, Readiness},
    request::cursor::CursorSigner,
    streams::StreamResources,
};

/// The dependencies of handlers; one value for all listeners of an API.
pub(crate) struct Resources {
    pub(crate) sessions: Sessions,
    pub(crate) links: ShareLinks,
    pub(crate) chats: Chats,
    pub(crate) messages: Messages,
    pub(crate) outbox: Outbox,
    pub(crate) keys: ApiKeys,
    pub(crate) webhooks: Webhooks,
    pub(crate) audit: Audit,
    pub(crate) operators: Operators,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) readiness: Arc<dyn Readiness>,
    pub(crate) metrics: Arc<dyn Exposition>,
    pub(crate) cursor_signer: CursorSigner,
    pub(crate) streams: StreamResources,
    pub(crate) browser: Browser,
}

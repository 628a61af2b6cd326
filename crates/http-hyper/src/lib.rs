//! The HTTP API of berth: the operations of callers and operators, and the router's side of the
//! node protocol. The listener itself is crate `http-listener`.
//!
//! [`api`] holds the operation table, from which the router, `Allow`, the permissions, the document
//! and the tests that call every operation are derived. A request passes these steps: route (404,
//! 405), authorize (401, 403, 429), read (400, 408, 413, 415), handle. Each rejection depends on as
//! little as possible: 401 and 403 depend neither on the body nor on a lookup, and an invalid body
//! is 400 whether or not the object exists.
//!
//! Choices that a caller might not expect:
//!
//! - A path without a row is 404 also without a credential, because there is nothing to protect. An
//!   unknown verb (`…:dance`) is such a path. `%3A` is not the colon of a verb but part of an id
//!   that cannot exist.
//! - An id that is not UTF-8, or not an id at all, is not found.
//! - Unknown query parameters and repeated ones are a validation error; only `status` of sessions,
//!   and `session` and `event` of streams may be repeated.
//! - Faults are `details.fields`: `{ "pointer" | "parameter", "reason" }`, at most 100;
//!   `details.omitted` counts the others. `"pointer": ""` is the body as a whole.
//! - A request without body has an empty JSON object, also for a patch, which then changes nothing.
//!   Actions accept no other body. GET and DELETE do not read the body.
//! - A whole number may have several spellings: `20`, `20.0` and `2e1` are equal.
//! - An `Accept` that matches no offered type gets JSON and not 406.
//! - PATCH and DELETE evaluate `If-Match`, GET and HEAD evaluate `If-None-Match`. A malformed
//!   `If-Match` is a validation error, because the header guards a write; a malformed
//!   `If-None-Match` is ignored.
//! - Two credentials, of any kind, are 401: the choice between them would be a guess. The cookie of a
//!   browser session is no credential beside another one, and counts in requests of own pages only.
//! - An HTTP/1.1 request without `Host`, and a request with two `Host` headers or an invalid one,
//!   is a validation error (RFC 9112, 3.2).
//! - A body that arrives too slowly is 408 `request_timeout`; headers that are too large are 431
//!   `headers_too_large`. Over HTTP/2, hyper answers 431 without a body.
//!
//! There are three services, each for a listener: the public one ([`Api::public`]), the operators'
//! ([`Api::operators`]) and the nodes' ([`NodeApi::service`]). [`serve`] runs one of them.

pub mod api;
mod browser;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
mod idempotency;
mod nodes;
pub mod openapi;
mod readiness;
mod request;
mod request_log;
mod resources;
mod response;
mod routes;
mod streams;
mod trace;
pub mod wire;

pub use http_listener::{
    CertificateFault, CertificateFiles, Drained, InvalidNetwork, Limits, ListenerTls, Network,
    ServerCertificate, serve, serve_with_tls,
};

pub use api::{Api, ApiDependencies, Rates, StreamDependencies};
pub use browser::{
    dependencies::BrowserDependencies,
    login_flow::{LoginCode, LoginFlow, LoginRequest},
    public_url::{InvalidPublicUrl, PublicUrl, normalized_origin},
};
pub use nodes::{NodeApi, NodeTokens};
pub use readiness::{Check, Exposition, Readiness};
pub use request_log::RequestLog;
pub use trace::current_trace_parent;
pub use wire::render_event;

/// The service of a listener of this crate.
pub type HttpService = http_listener::HttpService<RequestLog>;

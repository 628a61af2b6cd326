//! berth's HTTP face: what callers, operators and gateway nodes speak to, on plain hyper.
//!
//! [`api`] is the table everything is derived from: the router, `Allow`, the capability an endpoint
//! asks for, and the tests that walk it. A request's life is: route (404, 405), gate (401, 403, 429),
//! read (400, 408, 413, 415), handle. So a refusal is decided from as little as possible: 401 and 403
//! depend on neither the body nor any look-up, and a bad body is 400 whether or not the thing exists.
//!
//! Decided here, where a caller might expect otherwise:
//!
//! - A path that no row has is 404 also without a credential: there is nothing to protect. A verb that
//!   no row has (`…:dance`) is such a path; `%3A` makes no verb but an id that cannot exist.
//! - An id that is not UTF-8, or no id at all, is simply not found.
//! - Query parameters an endpoint does not know, and repeated ones, are a validation error; only
//!   `status` may be repeated.
//! - Faults are `details.fields`: `{ "pointer" | "parameter", "reason" }`, at most a hundred, then
//!   `details.omitted` counts the rest. `"pointer": ""` is the body as a whole.
//! - No body is an empty JSON object, also of a patch: it changes nothing. Actions take nothing else; GET and DELETE do not look.
//! - A whole number is one however it is written: `20`, `20.0` and `2e1` are the same.
//! - An `Accept` that nothing satisfies gets JSON rather than 406.
//! - `If-Match` is looked at by PATCH and DELETE, `If-None-Match` by GET and HEAD. Malformed, the
//!   first is a validation error, for it guards something; the second says nothing.
//! - Two credentials, of whatever kind, are 401: which one was meant would be a guess.
//! - An HTTP/1.1 request without `Host`, and any request with two, or with one that names no host, is a
//!   validation error (RFC 9112, 3.2).
//! - A body that takes too long is 408 `request_timeout`; headers too large are 431
//!   `headers_too_large`. Over HTTP/2 the latter is answered below us, without a body.
//!
//! Three listeners, each a [`HttpService`]: the public one ([`Api::public`]), the operator's
//! ([`Api::operators`]) and the nodes' ([`NodeApi::door`]). [`serve`] opens one.

pub mod api;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod handlers;
mod idempotency;
mod listener;
mod nodes;
pub mod openapi;
mod readiness;
mod request;
mod request_log;
mod request_metrics;
mod response;
mod routes;
mod service;
pub mod wire;

pub use api::throttle::Rates;
pub use listener::{
    address::{InvalidNetwork, Network},
    limits::Limits,
    serve::{Drained, serve},
    service::HttpService,
};
pub use nodes::{NodeApi, tokens::NodeTokens};
pub use readiness::{Check, Exposition, Readiness};
pub use service::{Api, ApiDependencies};

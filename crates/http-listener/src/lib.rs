//! An HTTP/1.1 and HTTP/2 listener that withstands slow, greedy and broken peers.
//!
//! A server implements [`Handler`], or makes one from an async function with [`handler_fn`], wraps
//! it with its [`Limits`] into an [`HttpService`], and passes it to [`serve`]. The listener limits
//! sizes, numbers and times ([`Limits`]), shares permits between groups of callers
//! ([`RequestPermits`]), answers requests that hyper cannot read, and stops gracefully. A request
//! lasts until the body of its response is written or dropped: until then, it holds its permit
//! ([`RequestContext::hold`]), and its access log record ([`FinishedRequest`]) is not written. A
//! body may be a stream that ends at no known time, and a response may give the connection to
//! another protocol ([`ResponseBody`]).
//!
//! With [`serve_with_tls`], a listener speaks TLS and agrees on HTTP/1.1, with a certificate from
//! files that may be replaced at any time ([`ListenerTls`]). A handshake counts as a connection
//! without a request.
//!
//! In a program with a recorder of metrics, the listener counts the connections that it ends in the
//! metric `berth_connections_evicted_total`, with the label `reason`.
//!
//! Decisions: ADR 0027, ADR 0028, ADR 0040, ADR 0063.

mod access_log;
mod activity;
mod address;
mod certificate;
mod connection;
mod connections;
mod handler;
mod handler_fn;
mod limits;
mod lingering_stream;
mod open_request;
mod raw_error;
mod rejection;
mod request_body;
mod request_id;
mod request_permits;
mod response_body;
mod serve;
mod service;
mod shared_permits;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod tracked_body;
mod upgrade;
mod upgraded_stream;

pub use self::{
    access_log::{AccessLog, FinishedRequest},
    activity::ConnectionActivity,
    address::{InvalidNetwork, Network},
    certificate::{CertificateFault, CertificateFiles, ServerCertificate},
    handler::{Handler, RequestContext},
    handler_fn::{HandlerFn, handler_fn},
    limits::Limits,
    rejection::Rejection,
    request_body::{BodyError, RequestBody},
    request_id::RequestId,
    request_permits::{RequestPermits, with_permit_if_pending},
    response_body::{BodyStream, ResponseBody, UpgradeHandler},
    serve::{Drained, serve, serve_with_tls},
    service::HttpService,
    shared_permits::{NoPermit, Permit, PermitHolder},
    tls::ListenerTls,
    upgraded_stream::UpgradedStream,
};

//! The protocol of an upgraded connection.
//!
//! The request of the upgrade lasts as long as the protocol: it holds its permit and its activity,
//! and its access log record is written at the end. The connection stays in the table of
//! connections, so that it is counted, and can be evicted.
//!
//! Decision: ADR 0040.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    connection::drive, connections::ConnectionGuard, limits::Limits, open_request::OpenRequest,
    response_body::UpgradeHandler, upgraded_stream::UpgradedStream,
};

/// Runs `handler` on the connection of an answered request until the protocol ends, the peer stops
/// to read, the connection is evicted, or the listener stops.
pub(crate) async fn run(
    upgrade: OnUpgrade,
    handler: UpgradeHandler,
    request: OpenRequest,
    guard: Arc<ConnectionGuard>,
    limits: Arc<Limits>,
    stop: CancellationToken,
) {
    let request = Arc::new(request);
    // The peer may hang up, or not read, before the response is written.
    let Ok(Ok(upgraded)) = timeout(limits.write_time, upgrade).await else { return };
    let (stream, closing) = (UpgradedStream::new(upgraded, request.clone()), stop.child_token());
    let protocol = handler(stream, closing.clone());
    if drive(protocol, |_| closing.cancel(), &guard, &limits, &stop).await {
        request.log.end_of_source();
    }
}

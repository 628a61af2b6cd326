//! The handlers of the health probes and the metrics.

use std::time::Duration;

use hyper::StatusCode;

use crate::{
    api::OperationContext,
    response::{problem::Result, reply::Reply},
    wire::{LivenessView, ReadinessView},
};

/// Time for the readiness checks, after which the service counts as not ready.
const CHECKS_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn live(_: OperationContext) -> Result<Reply> {
    Reply::ok(&LivenessView { live: true })
}

pub(crate) async fn ready(cx: OperationContext) -> Result<Reply> {
    let readiness = &cx.resources.readiness;
    let checks = tokio::time::timeout(CHECKS_TIMEOUT, readiness.checks()).await;
    let view = checks.map_or_else(
        |_| ReadinessView::timed_out(),
        |checks| ReadinessView::of(&checks, &readiness.informational()),
    );
    let status = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &view)
}

pub(crate) async fn metrics(cx: OperationContext) -> Result<Reply> {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(Reply::of(StatusCode::OK, kind, cx.resources.metrics.text()))
}

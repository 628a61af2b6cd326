//! What probes ask: whether the process lives, whether it can do its work, and what it counts.

use std::time::Duration;

use hyper::StatusCode;

use crate::{
    api::context::Context,
    response::problem::Result,
    response::reply::Reply,
    wire::{LivenessView, ReadinessView},
};

/// How long the checks may take before nothing counts as ready.
const CHECKS_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn live(_: Context) -> Result<Reply> {
    Reply::ok(&LivenessView { live: true })
}

pub(crate) async fn ready(cx: Context) -> Result<Reply> {
    let readiness = &cx.app.readiness;
    let checks = tokio::time::timeout(CHECKS_TIMEOUT, readiness.checks()).await;
    let view = checks.map_or_else(
        |_| ReadinessView::timed_out(),
        |checks| ReadinessView::of(&checks, &readiness.informational()),
    );
    let status = if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &view)
}

pub(crate) async fn metrics(cx: Context) -> Result<Reply> {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(Reply::of(StatusCode::OK, kind, cx.app.metrics.text()))
}

//! The handlers of the health probes, each below its operation doc, and of the metrics.

use std::time::Duration;

use hyper::StatusCode;

use crate::{
    api::OperationContext,
    openapi::operation_doc::{Content, DocTag, OperationDoc, ResponseDoc, Shape},
    response::{problem::Result, reply::Reply},
    wire::{LivenessView, ReadinessView},
};

/// Time for the readiness checks, after which the service counts as not ready.
const CHECKS_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) static LIVEZ: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Check that the process runs",
    "For probes. Reads no credential and performs no check.",
    ResponseDoc::new(200, "The process runs.", &[Content::Json(Shape::of::<LivenessView>())]),
);

pub(crate) async fn live(_: OperationContext) -> Result<Reply> {
    Reply::ok(&LivenessView { live: true })
}

const READINESS: &[Content] = &[Content::Json(Shape::of::<ReadinessView>())];

pub(crate) static READYZ: OperationDoc = OperationDoc::new(
    DocTag::Service,
    "Check that the service can serve requests",
    "For probes: the state of each dependency by name. Reads no credential.",
    ResponseDoc::new(200, "The service is ready.", READINESS),
)
.or(&[ResponseDoc::new(
    503,
    "The service is not ready; `checks` names the failed dependencies.",
    READINESS,
)]);

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

//! The listener for operators: liveness, readiness, and metrics. The listener asks for no credential, and
//! its answers name no session.
//!
//! A node is ready when it does not stop, a router has accepted its registration and its lease has not
//! ended, and its file of device keys can be used. WhatsApp does not count: no node could reach it then,
//! and a node out of service could not report so.
//!
//! Decision: ADR 0064.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_listener::{Drained, HttpService, Limits, handler_fn};
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use program_telemetry::MetricsExporter;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{config::Settings, fleet::Fleet, node_metrics};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const METRICS_TEXT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The bound listener, before the node runs.
pub(crate) struct BoundOpsListener {
    listener: TcpListener,
    exporter: MetricsExporter,
}

/// The running listener.
pub(crate) struct OpsServer {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<Drained>,
}

/// What the answers are made of.
struct Operations {
    exporter: MetricsExporter,
    fleet: Arc<Fleet>,
    /// Cancelled when the node begins to stop.
    stopping: CancellationToken,
}

impl BoundOpsListener {
    /// Binds the listener, if the settings have one, and installs the recorder of metrics. Everything that
    /// a part of the node counts before is not counted.
    ///
    /// # Errors
    /// Fails when the address is in use, and when the process has a recorder already.
    pub(crate) async fn bind(settings: &Settings) -> Result<Option<Self>> {
        let Some(address) = settings.ops_listen else { return Ok(None) };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address} (--ops-listen)"))?;
        let exporter = MetricsExporter::start(Some(settings.data.clone()))?;
        node_metrics::describe(settings.capacity);
        Ok(Some(Self { listener, exporter }))
    }

    /// Starts to answer. The answers say that the node is not ready once `stopping` is cancelled.
    pub(crate) fn serve(
        self,
        fleet: Arc<Fleet>,
        stopping: CancellationToken,
    ) -> std::io::Result<OpsServer> {
        let Self { listener, exporter } = self;
        let address = listener.local_addr()?;
        let operations = Arc::new(Operations { exporter, fleet, stopping });
        let handler = handler_fn(move |request: Request<Bytes>| {
            let operations = operations.clone();
            async move { operations.respond(&request).await }
        });
        let stop = CancellationToken::new();
        let service = HttpService::new(Arc::new(handler), limits());
        let task = tokio::spawn(http_listener::serve(listener, service, stop.clone()));
        Ok(OpsServer { address, stop, task })
    }
}

impl OpsServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more requests, and ends.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// The limits of the listener, whose callers are probes and a few readers of metrics.
fn limits() -> Limits {
    Limits {
        body_bytes: 1024,
        request_time: Duration::from_secs(10),
        connections: 256,
        unauthenticated_connections: 256,
        requests: 64,
        waiting: 64,
        drain: Duration::from_secs(2),
        ..Limits::default()
    }
}

impl Operations {
    async fn respond(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if !matches!(path, "/livez" | "/readyz" | "/metrics") {
            return answer(
                StatusCode::NOT_FOUND,
                JSON,
                json!({ "error": "not found" }).to_string(),
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let text = json!({ "error": "method not allowed" }).to_string();
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, JSON, text);
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match path {
            "/livez" => answer(StatusCode::OK, JSON, json!({ "live": true }).to_string()),
            "/readyz" => self.readiness(),
            _ => {
                node_metrics::measure(&self.fleet).await;
                answer(StatusCode::OK, METRICS_TEXT, self.exporter.text())
            }
        }
    }

    fn readiness(&self) -> Response<Bytes> {
        let checks = BTreeMap::from([
            ("keys", self.fleet.can_use_keys()),
            ("router", self.fleet.is_registered()),
            ("serving", !self.stopping.is_cancelled()),
        ]);
        let ready = checks.values().all(|check| *check);
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let view: Value = json!({ "ready": ready, "checks": checks });
        answer(status, JSON, view.to_string())
    }
}

fn answer(status: StatusCode, kind: HeaderValue, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

//! The listener of the node: reads requests within limits, passes them to the API, and stops
//! gracefully.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use gateway_protocol::RefusalCode;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Api, ApiRequest, ApiResponse, refusal_response},
    refusal::{malformed, refusal},
};

const MAX_BODY_BYTES: usize = 64 << 10;
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_CONNECTIONS: usize = 256;
/// Time limit from the connection to its first byte.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit from the first byte to the end of the head; also the idle limit of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for requests in progress when the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Serves until `stop` is cancelled.
pub(crate) async fn serve(listener: TcpListener, api: Arc<Api>, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else {
            // Most likely the process is out of file descriptors; other connections must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (api, watcher, stopping) = (api.clone(), graceful.watcher(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            if stopping.run_until_cancelled(has_first_byte(&socket)).await == Some(true) {
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(respond(&api, request).await) }
                });
                let server = builder();
                let connection =
                    server.serve_connection(TokioIo::new(socket), service).into_owned();
                let _ = watcher.watch(connection).await;
            }
        });
    }
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(HEAD_TIMEOUT));
    builder
}

/// Waits up to [`FIRST_BYTE_TIMEOUT`] for data. hyper has no time limit for the first byte.
async fn has_first_byte(socket: &TcpStream) -> bool {
    let _ = socket.set_nodelay(true);
    matches!(tokio::time::timeout(FIRST_BYTE_TIMEOUT, socket.peek(&mut [0])).await, Ok(Ok(1)))
}

async fn respond(api: &Arc<Api>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let Ok(Ok(body)) = body else {
        return to_http_response(refusal_response(&malformed(
            "the body is too long or was not received in time",
        )));
    };
    let request = ApiRequest {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body: body.to_bytes(),
    };
    // In a task of its own, so that a caller that disconnects does not interrupt a command.
    let api = api.clone();
    let answered = tokio::spawn(async move { api.handle(request).await }).await;
    to_http_response(
        answered.unwrap_or_else(|_| refusal_response(&refusal(RefusalCode::Internal, "internal"))),
    )
}

fn to_http_response(answer: ApiResponse) -> Response<Full<Bytes>> {
    let has_body = !answer.body.is_empty();
    let mut response = Response::new(Full::new(answer.body.into()));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(allow) = answer.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
        headers.insert(ALLOW, allow);
    }
    if answer.status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Listens on an address and returns the bound address, which differs for port 0.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

//! HTTP/2 without TLS, one request for each connection.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use testbed::{
    client::Api,
    http::{self, Reply},
};
use tokio::{net::TcpStream, runtime, time};

/// Upper bound of the time to an answer.
const PATIENCE: Duration = Duration::from_secs(75);

/// Sends a request and reads the answer.
pub fn send(
    api: &Api,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Result<Reply> {
    let headers = api.headers(headers, body.is_some());
    send_to(http::address(api.base())?, method, path, &headers, body)
        .with_context(|| format!("{method} {path} over HTTP/2"))
}

fn send_to(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Option<&[u8]>,
) -> Result<Reply> {
    let uri = format!("http://{address}{path}");
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.unwrap_or_default())))?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = async { time::timeout(PATIENCE, converse(address, request)).await };
    runtime.block_on(answer).context("no answer over HTTP/2 in time")?
}

async fn converse(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Reply> {
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let mut head = vec![format!("{:?} {}", answer.version(), answer.status())];
    for (name, value) in answer.headers() {
        head.push(format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    }
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes().to_vec();
    driver.abort();
    Ok(Reply { status, head, body })
}

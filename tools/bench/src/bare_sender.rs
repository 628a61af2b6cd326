//! The reference of deliveries: hyper alone, which sends recorded requests again.
//!
//! The reference runs in a process of its own with the same runtime and number of threads as berth.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Method, Request, Uri,
    client::conn::http1,
    header::{CONTENT_LENGTH, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use testbed::process::Process;
use tokio::{net::TcpStream, runtime, task::JoinSet, time::timeout};

use crate::{Setup, options::BenchBareSender};

/// Lifetime of a sender whose parent has died.
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// A recorded request.
#[derive(Clone, Debug)]
struct RecordedRequest {
    target: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Sends `count` of these requests in turn over this number of connections, and waits for all
/// answers.
pub(crate) fn send(
    setup: &Setup,
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
    count: usize,
) -> Result<()> {
    let texts = requests.iter().map(|request| std::str::from_utf8(request));
    let texts = texts.collect::<Result<Vec<_>, _>>().context("a request is not text")?;
    let file = setup.scratch.path().join("requests.json");
    fs::write(&file, serde_json::to_string(&texts)?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare-sender", "--to", &address.to_string()]).arg("--requests").arg(&file);
    command.args(["--connections", &connections.to_string(), "--count", &count.to_string()]);
    let log = setup.scratch.path().join("bare-sender.log");
    let mut sender = Process::spawn("the bare sender", &mut command, Some(&log))?;
    let status = sender.wait()?;
    ensure!(status.success(), "the bare sender ended with {status}: {}", sender.tail(20));
    Ok(())
}

/// Sends the requests of the command line.
pub(crate) fn run(asked: &BenchBareSender) -> Result<ExitCode> {
    let texts: Vec<String> = serde_json::from_slice(&fs::read(&asked.requests)?)?;
    let requests = texts.iter().map(|text| RecordedRequest::parse(text).context("no request"));
    let requests: Arc<[_]> = requests.collect::<Result<Vec<_>>>()?.into();
    ensure!(!requests.is_empty(), "no requests");
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let sent = runtime.block_on(async { timeout(LIFETIME, send_all(asked, requests)).await });
    sent.context("too late")?.map(|()| ExitCode::SUCCESS)
}

async fn send_all(asked: &BenchBareSender, requests: Arc<[RecordedRequest]>) -> Result<()> {
    let (next, mut sending) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..asked.connections {
        let stream = TcpStream::connect(asked.to).await.context("no connection")?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (next, requests, count) = (Arc::clone(&next), Arc::clone(&requests), asked.count);
        sending.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                sender.ready().await?;
                let request = requests[number % requests.len()].request();
                let response = sender.send_request(request).await?;
                ensure!(response.status() == 204, "status {}", response.status());
                response.into_body().collect().await?;
            }
        });
    }
    sending.join_all().await.into_iter().collect()
}

impl RecordedRequest {
    /// Parses a request with a body; `None` for other texts.
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let target = lines.next()?.strip_prefix("POST ")?.strip_suffix(" HTTP/1.1")?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = HeaderValue::try_from(value.trim()).ok()?;
            headers.append(HeaderName::try_from(name).ok()?, value);
        }
        headers.remove(CONTENT_LENGTH); // hyper adds it
        Some(Self { target: target.parse().ok()?, headers, body: Bytes::from(body.to_owned()) })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_request_keeps_its_headers_and_body() {
        let text =
            "POST /hook HTTP/1.1\r\nhost: a:1\r\nX-Time: 12:30\r\ncontent-length: 2\r\n\r\n{}";
        let request = RecordedRequest::parse(text).unwrap().request();
        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/hook"));
        let headers: Vec<_> = request.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            (headers, &request.headers()["x-time"]),
            (vec!["host", "x-time"], &HeaderValue::from_static("12:30"))
        );
        assert!(RecordedRequest::parse("GET / HTTP/1.1\r\n\r\n").is_none());
        assert!(RecordedRequest::parse("POST / HTTP/1.1\r\nhost: a").is_none());
    }
}

//! A client that returns every byte and header of a response, over HTTP/1.1, HTTP/2 or a bare
//! socket.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode, header, http::request};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Time after which a test fails.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}

pub(crate) const BOTH: [Version; 2] = [Version::One, Version::Two];

/// A complete response.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl ReceivedResponse {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns the code of the error; empty without an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the pointers and parameters of the faults.
    pub(crate) fn faults(&self) -> Vec<String> {
        let fields = self.json()["error"]["details"]["fields"].clone();
        let place = |fault: &Value| {
            let place = fault.get("pointer").or(fault.get("parameter")).unwrap();
            assert!(fault["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
            place.as_str().unwrap().to_owned()
        };
        fields.as_array().map(|fields| fields.iter().map(place).collect()).unwrap_or_default()
    }

    /// Returns the response without the headers that differ between any two responses.
    pub(crate) fn comparable(&self) -> (StatusCode, Vec<(String, String)>, Bytes) {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| *name != header::DATE && *name != "x-request-id")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        headers.sort();
        (self.status, headers, self.body.clone())
    }

    /// Checks the headers of every response and the body of an error.
    pub(crate) fn assert_well_formed(&self, about: &str) {
        assert!(!self.header("x-request-id").is_empty(), "{about}: no request id");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{about}");
        assert_eq!(self.header("cache-control"), "no-store", "{about}");
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.header("content-type"), "application/json", "{about}");
            let error = &self.json()["error"];
            assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{about}: {self:?}");
            assert!(error["details"].is_object(), "{about}: {self:?}");
            let names: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
            assert_eq!(names, ["code", "details", "message"], "{about}");
        }
    }
}

/// Starts a request.
pub(crate) fn ask(method: &str, path: &str) -> request::Builder {
    Request::builder().method(method).uri(path)
}

/// Sends a request on a new connection.
pub(crate) async fn send(
    to: SocketAddr,
    version: Version,
    request: request::Builder,
    body: impl Into<Bytes>,
) -> ReceivedResponse {
    try_send(to, version, request, body).await.expect("an answer")
}

pub(crate) async fn try_send(
    to: SocketAddr,
    version: Version,
    request: request::Builder,
    body: impl Into<Bytes>,
) -> Result<ReceivedResponse, hyper::Error> {
    let request = request.body(Full::new(body.into())).expect("a request");
    timeout(GENEROUS, exchange(to, version, request)).await.expect("an answer in time")
}

async fn exchange(
    to: SocketAddr,
    version: Version,
    mut request: Request<Full<Bytes>>,
) -> Result<ReceivedResponse, hyper::Error> {
    let stream = TokioIo::new(TcpStream::connect(to).await.expect("a connection"));
    let response = match version {
        Version::One => {
            request.headers_mut().insert(header::HOST, "berth.test".parse().unwrap());
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        }
        Version::Two => {
            let path = request.uri().path_and_query().unwrap().as_str();
            *request.uri_mut() = format!("http://berth.test{path}").parse().unwrap();
            let executor = TokioExecutor::new();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(executor, stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        }
    };
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(ReceivedResponse { status: head.status, headers: head.headers, body })
}

/// Writes bytes, and reads until the server closes the connection.
pub(crate) async fn raw(to: SocketAddr, text: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    // Many clients write the whole request before they read; the server must allow this.
    let written = timeout(GENEROUS, stream.write_all(text)).await.expect("it is taken in time");
    written.expect("it is taken, also what is not read");
    read_to_end(&mut stream).await
}

pub(crate) async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    timeout(GENEROUS, stream.read_to_end(&mut answer))
        .await
        .expect("the connection closes in time")
        .expect("the connection closes without a reset");
    answer
}

/// Reads one response of a connection that may stay open.
pub(crate) async fn one_answer(stream: &mut TcpStream) -> ReceivedResponse {
    let mut text = Vec::new();
    while !text.ends_with(b"}") {
        let mut part = [0; 4096];
        let count = timeout(GENEROUS, stream.read(&mut part)).await;
        let count = count
            .unwrap_or_else(|_| panic!("no more: {}", String::from_utf8_lossy(&text)))
            .expect("more");
        assert_ne!(count, 0, "closed without an answer: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&part[..count]);
    }
    parse(&text)
}

/// Parses a response with a `content-length`.
pub(crate) fn parse(text: &[u8]) -> ReceivedResponse {
    let end = text.windows(4).position(|part| part == b"\r\n\r\n").expect("a whole head");
    let head = std::str::from_utf8(&text[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name = header::HeaderName::try_from(name).unwrap();
        headers.append(name, value.parse().unwrap());
    }
    let length: usize = headers[header::CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
    let body = Bytes::copy_from_slice(&text[end + 4..]);
    assert_eq!(body.len(), length, "{head}");
    ReceivedResponse { status, headers, body }
}

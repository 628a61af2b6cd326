//! A client of server-sent events that returns the blocks of a stream.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Request, StatusCode, body::Incoming, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

use crate::client::{GENEROUS, Version};

/// A block of a stream: the lines up to an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) retry: Option<u64>,
    pub(crate) id: String,
    pub(crate) data: Option<String>,
}

impl Block {
    fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            match line.split_once(": ").expect("a field") {
                ("retry", millis) => block.retry = Some(millis.parse().unwrap()),
                ("id", id) => id.clone_into(&mut block.id),
                ("data", data) => assert!(block.data.replace(data.to_owned()).is_none()),
                field => panic!("{field:?}"),
            }
        }
        block
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(self.data.as_deref().expect("an event")).unwrap()
    }
}

/// An open stream.
pub(crate) struct EventClient {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    text: String,
}

impl EventClient {
    /// Opens a stream of a caller.
    pub(crate) async fn open(to: SocketAddr, caller: &str, query: &str, last: &str) -> Self {
        Self::over(Version::One, to, caller, query, last).await
    }

    /// Opens a stream after the event or bookmark `last`, if any.
    pub(crate) async fn over(
        version: Version,
        to: SocketAddr,
        caller: &str,
        query: &str,
        last: &str,
    ) -> Self {
        let bearer = format!("Bearer {caller}");
        let headers = [("authorization", bearer.as_str()), ("last-event-id", last)];
        Self::with_headers(version, to, query, &headers).await
    }

    /// Opens a stream with these headers.
    pub(crate) async fn with_headers(
        version: Version,
        to: SocketAddr,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let stream = TokioIo::new(TcpStream::connect(to).await.expect("a connection"));
        let path = format!("/api/v1/events?{query}");
        let mut request = Request::get(format!("http://berth.test{path}"))
            .header(header::ACCEPT, "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Empty::<Bytes>::new()).unwrap();
        let response = if version == Version::One {
            *request.uri_mut() = path.parse().unwrap();
            request.headers_mut().insert(header::HOST, "berth.test".parse().unwrap());
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let executor = TokioExecutor::new();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        let (head, body) = response.into_parts();
        Self { status: head.status, headers: head.headers, body, text: String::new() }
    }

    /// Returns the next block; `None` at the end of the stream.
    pub(crate) async fn block(&mut self) -> Option<Block> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block = Block::parse(&self.text[..end]);
                self.text.drain(..end + 2);
                return Some(block);
            }
            let frame = timeout(GENEROUS, self.body.frame()).await.expect("a part in time");
            let Some(frame) = frame else {
                assert_eq!(self.text, "", "the stream ends after a block");
                return None;
            };
            let data = frame.expect("the stream does not break off").into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    /// Returns the next event with its id, and passes over bookmarks.
    pub(crate) async fn event(&mut self) -> Value {
        loop {
            let block = self.block().await.expect("another event");
            if block.data.is_some() {
                let event = block.event();
                assert_eq!(event["id"], block.id);
                return event;
            }
            assert!(block.id.starts_with("cur_"), "{block:?}");
        }
    }

    /// Waits for the end of the stream; returns the ids of the blocks before.
    pub(crate) async fn rest(mut self) -> Vec<String> {
        let mut ids = Vec::new();
        while let Some(block) = self.block().await {
            ids.push(block.id);
        }
        ids
    }

    /// Returns the body of a response that is no stream.
    pub(crate) async fn error(self) -> Value {
        let body = timeout(GENEROUS, self.body.collect()).await.unwrap().unwrap();
        serde_json::from_slice(&body.to_bytes()).unwrap()
    }
}

//! A stream over a WebSocket (RFC 6455): one event a text frame.
//!
//! The client sends nothing but pongs and closes. Other frames are ignored up to a size and an
//! amount. The close codes are those of [`CloseCause::code`].

use std::{ops::ControlFlow, time::Duration};

use bytes::Bytes;
use event_feed::RenderedEvent;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http_listener::UpgradeHandler;
use hyper::{HeaderMap, Method, Request, Version};
use std::io::ErrorKind;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::server::create_response,
        protocol::{CloseFrame, Role, WebSocketConfig},
    },
};

use super::{
    close_cause::CloseCause,
    follower::{Follower, Step},
    metered_stream::MeteredStream,
};

/// Time between two pings. A client that has not answered a ping when the next one is due is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Time for the client to answer a close. At a stop, the listener waits for less.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum size of a message of the client.
const MAX_CLIENT_MESSAGE: usize = 1024;
/// Bytes of a buffer for what a client sends.
const READ_BUFFER: usize = 4096;
/// Bytes after which events are written, and a bound of the bytes that wait to be written: more
/// than the largest event.
const WRITE_BUFFER: usize = 16 * 1024;
const MAX_WRITE_BUFFER: usize = 1024 * 1024;

/// The reason why a WebSocket ends at once: the cause, and the text of its close frame.
pub(crate) type Refusal = (CloseCause, String);

/// Returns the headers of the response to a handshake; `None` for a request that is none.
pub(crate) fn handshake(headers: &HeaderMap) -> Option<HeaderMap> {
    let mut request = Request::new(());
    (*request.method_mut(), *request.version_mut()) = (Method::GET, Version::HTTP_11);
    *request.headers_mut() = headers.clone();
    create_response(&request).ok().map(|response| response.into_parts().0.headers)
}

/// Returns the protocol that sends a stream, or that closes with a refusal. A browser cannot read
/// the response to a handshake, but the code of a close.
pub(crate) fn protocol(stream: Result<Follower, Refusal>, bookmarks: bool) -> UpgradeHandler {
    Box::new(move |connection, _| run(MeteredStream::new(connection), stream, bookmarks).boxed())
}

async fn run<S>(connection: S, stream: Result<Follower, Refusal>, bookmarks: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(Some(MAX_CLIENT_MESSAGE))
        .max_frame_size(Some(MAX_CLIENT_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    match stream {
        Ok(follower) => {
            let mut connection = Connection { socket, follower, bookmarks };
            let cause = connection.serve().await;
            connection.follower.close(cause);
            close(&mut connection.socket, cause, String::new()).await;
        }
        Err((cause, reason)) => close(&mut socket, cause, reason).await,
    }
}

/// An open WebSocket with its stream.
struct Connection<S> {
    socket: WebSocketStream<S>,
    follower: Follower,
    /// Whether bookmarks are sent.
    bookmarks: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Sends the stream until the stream or the client ends, and returns the cause.
    async fn serve(&mut self) -> CloseCause {
        let (mut next_ping, mut is_answered) = (Instant::now() + PING_INTERVAL, true);
        loop {
            let messages = tokio::select! {
                received = self.socket.next() => {
                    match received.map(|received| judge(&received)) {
                        None => return CloseCause::Client,
                        Some(ControlFlow::Break(cause)) => return cause,
                        Some(ControlFlow::Continue(is_pong)) => is_answered |= is_pong,
                    }
                    continue;
                }
                () = sleep_until(next_ping) => {
                    if !std::mem::replace(&mut is_answered, false) {
                        return CloseCause::Stalled;
                    }
                    next_ping = Instant::now() + PING_INTERVAL;
                    vec![Message::Ping(Bytes::new())]
                }
                step = self.follower.next() => match step {
                    Step::Events(events) => events.iter().filter_map(|it| text(it)).collect(),
                    Step::Bookmark(id) if self.bookmarks => vec![bookmark(&id)],
                    Step::Bookmark(_) => continue,
                    Step::End(cause) => return cause,
                },
            };
            if let Err(cause) = self.send(messages).await {
                return cause;
            }
        }
    }

    /// Sends messages, unless the stream ends before.
    async fn send(&mut self, messages: Vec<Message>) -> Result<(), CloseCause> {
        let Self { socket, follower, .. } = self;
        let sent = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        tokio::select! {
            sent = sent => sent.map_err(|_| CloseCause::Client),
            cause = follower.ended() => Err(cause),
        }
    }
}

/// Returns whether a message of the client is a pong, or the cause to end the connection.
fn judge(received: &Result<Message, Error>) -> ControlFlow<CloseCause, bool> {
    match received {
        Ok(Message::Close(_)) => ControlFlow::Break(CloseCause::Client),
        Ok(message) => ControlFlow::Continue(message.is_pong()),
        Err(Error::Capacity(_)) => ControlFlow::Break(CloseCause::TooLarge),
        Err(Error::Io(error)) if error.kind() == ErrorKind::QuotaExceeded => {
            ControlFlow::Break(CloseCause::TooLarge)
        }
        Err(Error::Protocol(_) | Error::Utf8(_)) => ControlFlow::Break(CloseCause::Protocol),
        Err(_) => ControlFlow::Break(CloseCause::Client),
    }
}

/// Returns the frame of an event; `None` for a text that is not UTF-8, which no renderer makes.
fn text(event: &RenderedEvent) -> Option<Message> {
    Some(Message::Text(event.text.clone().try_into().ok()?))
}

fn bookmark(id: &str) -> Message {
    Message::text(format!("{{\"schema\":\"v1\",\"event\":\"stream.bookmark\",\"id\":\"{id}\"}}"))
}

/// Sends a close frame and waits for the answer of the client.
async fn close<S>(socket: &mut WebSocketStream<S>, cause: CloseCause, reason: String)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let closing = async {
        let frame = CloseFrame { code: cause.code().into(), reason: reason.into() };
        // The client may have closed, so that a failure is usual.
        let _ = socket.close(Some(frame)).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

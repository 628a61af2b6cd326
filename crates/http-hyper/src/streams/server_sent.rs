//! Server-sent events: the text of a stream
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! An event is `id` and one line of `data`; it has no `event` field, so that `onmessage` of a
//! browser gets every kind. A bookmark is an `id` without data, which sets the position of a client
//! and dispatches nothing.

use bytes::{BufMut, BytesMut};
use event_feed::RenderedEvent;
use futures_util::stream;
use http_listener::BodyStream;

use super::follower::{Follower, Step};

/// Returns the body of a stream. `retry_millis` is the time after which a client that lost the
/// connection connects again.
pub(crate) fn body(follower: Follower, retry_millis: u32) -> BodyStream {
    let first = BytesMut::from(format!("retry: {retry_millis}\n").as_bytes());
    Box::pin(stream::unfold((follower, first), |(mut follower, mut text)| async {
        match follower.next().await {
            Step::Events(events) => {
                for event in &events {
                    put_event(&mut text, event);
                }
            }
            Step::Bookmark(bookmark) => {
                put_all(&mut text, &[b"id: ", bookmark.as_bytes(), b"\n\n"]);
            }
            Step::End(_) => return None,
        }
        Some((text.freeze(), (follower, BytesMut::new())))
    }))
}

fn put_event(text: &mut BytesMut, event: &RenderedEvent) {
    put_all(text, &[b"id: ", event.id.as_str().as_bytes(), b"\ndata: ", &event.text, b"\n\n"]);
}

fn put_all(text: &mut BytesMut, parts: &[&[u8]]) {
    text.reserve(parts.iter().map(|part| part.len()).sum());
    for part in parts {
        text.put_slice(part);
    }
}

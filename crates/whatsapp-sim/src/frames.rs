//! Frames in a WebSocket: a length of three bytes, then the payload. The client's first bytes are a
//! connection header. Frames are independent of the boundaries of WebSocket messages.

use bytes::BytesMut;
use futures_util::{Stream, StreamExt};
use tokio_tungstenite::tungstenite::{Error as WebSocketError, Message};
use wacore_binary::consts::WA_CONN_HEADER;
use wacore_noise::framing::{FRAME_LENGTH_SIZE, FrameDecoder, encode_frame};

/// The size of the optional routing header: `ED`, two version bytes, and the length of the routing
/// data in three bytes.
const ROUTING_HEADER: usize = 7;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the client disconnected")]
    Closed,
    #[error("the first bytes are not WhatsApp's connection header")]
    Greeting,
    #[error("a frame is larger than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    WebSocket(#[from] Box<WebSocketError>),
}

/// Reads frames from the messages of a client.
pub(crate) struct FrameReader<S> {
    messages: S,
    decoder: FrameDecoder,
    greeting: Option<Vec<u8>>,
    max_frame: usize,
}

impl<S> FrameReader<S>
where
    S: Stream<Item = Result<Message, WebSocketError>> + Unpin,
{
    pub(crate) fn new(messages: S, max_frame: usize) -> Self {
        Self { messages, decoder: FrameDecoder::new(), greeting: Some(Vec::new()), max_frame }
    }

    /// Returns the next frame. Cancel-safe: a dropped call loses no data.
    pub(crate) async fn next(&mut self) -> Result<BytesMut, FrameError> {
        loop {
            if let Some(frame) = self.decoder.decode_frame() {
                return Ok(frame);
            }
            if self.decoder.buffered_len() > self.max_frame + FRAME_LENGTH_SIZE {
                return Err(FrameError::TooLarge(self.max_frame));
            }
            match self.messages.next().await.ok_or(FrameError::Closed)?.map_err(Box::new)? {
                Message::Binary(bytes) => self.feed(&bytes)?,
                Message::Close(_) => return Err(FrameError::Closed),
                _ => {}
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let Some(greeting) = &mut self.greeting else {
            self.decoder.feed(bytes);
            return Ok(());
        };
        greeting.extend_from_slice(bytes);
        if greeting.len() > self.max_frame {
            return Err(FrameError::TooLarge(self.max_frame));
        }
        if let Some(length) = greeting_length(greeting)? {
            self.decoder.feed(&greeting[length..]);
            self.greeting = None;
        }
        Ok(())
    }
}

/// Returns the length of the connection header; `None` if more bytes are needed.
fn greeting_length(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let skipped = match bytes {
        [b'E', b'D', _, _, a, b, c, ..] => {
            ROUTING_HEADER + (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c))
        }
        [b'E'] | [b'E', b'D', ..] => return Ok(None),
        _ => 0,
    };
    let Some(rest) = bytes.get(skipped..) else { return Ok(None) };
    let received = rest.len().min(WA_CONN_HEADER.len());
    if rest[..received] != WA_CONN_HEADER[..received] {
        return Err(FrameError::Greeting);
    }
    Ok((received == WA_CONN_HEADER.len()).then_some(skipped + received))
}

/// Encodes a payload as a WebSocket message.
pub(crate) fn message(payload: &[u8]) -> Option<Message> {
    encode_frame(payload, None).ok().map(|frame| Message::Binary(frame.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn frames(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, FrameError) {
        let messages: Vec<_> =
            chunks.iter().map(|c| Ok(Message::Binary(c.to_vec().into()))).collect();
        let mut reader = FrameReader::new(stream::iter(messages), 1000);
        let mut received = Vec::new();
        loop {
            match reader.next().await {
                Ok(frame) => received.push(frame.to_vec()),
                Err(error) => return (received, error),
            }
        }
    }

    fn greeted(rest: &[u8]) -> Vec<u8> {
        [&WA_CONN_HEADER[..], rest].concat()
    }

    #[tokio::test]
    async fn frames_are_independent_of_message_boundaries() {
        let bytes = greeted(&[0, 0, 2, 7, 8, 0, 0, 1, 9]);
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        for chunks in [vec![&bytes[..]], one_by_one] {
            let (received, end) = frames(&chunks).await;
            assert_eq!(received, [vec![7, 8], vec![9]]);
            assert!(matches!(end, FrameError::Closed));
        }
    }

    #[tokio::test]
    async fn routing_data_before_the_header_is_skipped() {
        let bytes = [b"ED\0\x01\0\0\x03abc", &greeted(&[0, 0, 1, 5])[..]].concat();
        assert_eq!(frames(&[&bytes]).await.0, [vec![5]]);
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(frames(&one_by_one).await.0, [vec![5]]);
    }

    #[tokio::test]
    async fn connection_without_the_header_is_rejected() {
        for bytes in [&b"GET / HTTP/1.1"[..], b"WA\x05\x03", b"W?"] {
            assert!(
                matches!(frames(&[bytes]).await, (received, FrameError::Greeting) if received.is_empty())
            );
        }
    }

    #[tokio::test]
    async fn oversized_frame_ends_the_connection() {
        let bytes = greeted(&[&[0xff, 0xff, 0xff][..], &[1; 1500]].concat());
        assert!(matches!(frames(&[&bytes]).await, (_, FrameError::TooLarge(1000))));
    }
}

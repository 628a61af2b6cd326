//! The body of a response: the beginning for the log, the rest only to use the connection again.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Body;

/// The part of a body that was read.
#[derive(Debug, Default)]
pub(super) struct BodyReader {
    excerpt: Vec<u8>,
    length: usize,
}

impl BodyReader {
    /// Reads the body until it ends, fails, or has more than `max` bytes; returns whether it ended.
    /// The excerpt has at most `excerpt` bytes. A caller that stops waiting keeps the excerpt.
    pub(super) async fn read(
        &mut self,
        mut body: impl Body<Data = Bytes> + Unpin,
        max: usize,
        excerpt: usize,
    ) -> bool {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let Some(data) = frame.data_ref() else { continue };
            let missing = excerpt.saturating_sub(self.excerpt.len());
            self.excerpt.extend_from_slice(&data[..missing.min(data.len())]);
            self.length += data.len();
            if self.length > max {
                return false;
            }
        }
        true
    }

    pub(super) fn into_excerpt(self) -> Bytes {
        self.excerpt.into()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    #[tokio::test]
    async fn body_over_the_limit_does_not_end() {
        for (max, ended) in [(8, true), (7, false)] {
            let mut reader = BodyReader::default();
            assert_eq!(reader.read(Full::from("12345678"), max, 3).await, ended);
            assert_eq!(reader.into_excerpt(), "123");
        }
    }

    #[test]
    fn abandoned_reader_keeps_its_excerpt() {
        let mut reader = BodyReader::default();
        let part = |text: &'static str| Ok::<_, std::io::Error>(Frame::data(Bytes::from(text)));
        let parts = futures_util::stream::iter([part("ab"), part("cd")]);
        let body = StreamBody::new(parts.chain(futures_util::stream::pending()));
        assert!(reader.read(body, 8, 3).now_or_never().is_none());
        assert_eq!(reader.into_excerpt(), "abc");
    }

    #[tokio::test]
    async fn failed_body_does_not_end() {
        let body = StreamBody::new(futures_util::stream::iter([
            Ok(Frame::data(Bytes::from("a"))),
            Err(std::io::Error::other("reset")),
        ]));
        assert!(!BodyReader::default().read(body, 8, 8).await);
    }
}

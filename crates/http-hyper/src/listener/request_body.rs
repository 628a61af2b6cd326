//! A request's body: bounded in size and in time, and known to be JSON before it is read as JSON.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body as _, Incoming},
    header::{self, HeaderValue},
};

use crate::{
    listener::activity::ConnectionActivity,
    listener::limits::Limits,
    listener::request_permits::with_permit_if_pending,
    listener::shared_permits::Permit,
    response::problem::{Problem, Result},
};

/// What JSON calls itself.
pub(crate) static JSON: [&str; 1] = ["application/json"];
/// The same, where it says what to change.
pub(crate) static MERGE_PATCH: [&str; 2] = ["application/merge-patch+json", "application/json"];

/// What nobody wanted is still waited for this long, and up to this size: many clients send the head
/// and the body in two pieces, and an answer may be there before the second one is.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);
const MAX_DRAIN_BYTES: usize = 64 * 1024;

/// A body that may or may not be read.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    limit: usize,
    timeout: Duration,
    state: ReadState,
    activity: ConnectionActivity,
}

#[derive(Debug, PartialEq, Eq)]
enum ReadState {
    Unread,
    /// Given up, or its sender waits to be told that it is wanted (RFC 9110, 10.1.1).
    Abandoned,
    Read,
}

impl RequestBody {
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        limits: &Limits,
        activity: ConnectionActivity,
    ) -> Self {
        let withheld = headers.contains_key(header::EXPECT);
        let state = if withheld { ReadState::Abandoned } else { ReadState::Unread };
        Self { incoming, limit: limits.body_bytes, timeout: limits.body_time, state, activity }
    }

    /// Text of one of these media types, or nothing at all. While it is on its way it has a place.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when it comes too slowly, 415 when it is said to be something else; and
    /// when there is no place.
    pub(crate) async fn read_text(
        &mut self,
        headers: &HeaderMap,
        accepted: &'static [&'static str],
        permit: impl FnOnce() -> Result<Permit>,
    ) -> Result<Bytes> {
        let bytes = self.receive(self.limit, self.timeout, || permit().map(Some)).await?;
        if bytes.is_empty() || is_media_type_one_of(accepted, headers) {
            Ok(bytes)
        } else {
            Err(Problem::UnsupportedMediaType { accepted })
        }
    }

    /// Whether nothing of it is left on the connection, which can then take another request. A little
    /// that is about to come is read for that.
    pub(crate) async fn is_consumed(&mut self) -> bool {
        if self.state == ReadState::Unread && !self.incoming.is_end_stream() {
            // What went wrong with it no longer matters to anyone.
            let _ = self.receive(MAX_DRAIN_BYTES.min(self.limit), DRAIN_TIMEOUT, || Ok(None)).await;
        }
        self.state == ReadState::Read || self.incoming.is_end_stream()
    }

    async fn receive(
        &mut self,
        limit: usize,
        timeout: Duration,
        permit: impl FnOnce() -> Result<Option<Permit>>,
    ) -> Result<Bytes> {
        self.state = ReadState::Abandoned;
        let announced = self.incoming.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > limit) {
            return Err(Problem::PayloadTooLarge { limit });
        }
        let Self { incoming, activity, .. } = self;
        let reception = tokio::time::timeout(timeout, receive(incoming, limit, activity));
        let received =
            with_permit_if_pending(reception, || Ok((permit()?, activity.await_peer()))).await?;
        let bytes = received.map_err(|_| Problem::BodyTooSlow)??;
        self.state = ReadState::Read;
        Ok(bytes)
    }
}

async fn receive(
    incoming: &mut Incoming,
    limit: usize,
    activity: &ConnectionActivity,
) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        activity.record_progress();
        let frame = frame.map_err(|_| Problem::invalid("", "the body ended early"))?;
        // What is no data is trailers, and says nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(Problem::PayloadTooLarge { limit });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// One of these types, in UTF-8 if it says in what, as it is.
fn is_media_type_one_of(types: &[&str], headers: &HeaderMap) -> bool {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return false;
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let Ok(kind) = kind.to_str() else { return false };
    let mut parts = kind.split(';').map(str::trim);
    let Some(essence) = parts.next() else { return false };
    types.iter().any(|known| essence.eq_ignore_ascii_case(known))
        && parts.all(is_acceptable_parameter)
}

/// A parameter of the media type: a charset must be UTF-8, what else there is means nothing here.
fn is_acceptable_parameter(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    !name.trim().eq_ignore_ascii_case("charset")
        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_media_type(kinds: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for kind in kinds {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        is_media_type_one_of(&JSON, &headers)
    }

    #[test]
    fn json_is_recognized_by_its_media_type() {
        for good in [
            "application/json",
            "APPLICATION/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; x=y",
        ] {
            assert!(has_media_type(&[good]), "{good}");
        }
        for bad in
            ["text/plain", "application/json; charset=latin1", "application/jsonp", "", "*/*"]
        {
            assert!(!has_media_type(&[bad]), "{bad}");
        }
        assert!(!has_media_type(&[]));
        assert!(!has_media_type(&["application/json", "application/json"]));
    }

    #[test]
    fn compressed_json_is_rejected() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_media_type_one_of(&JSON, &headers));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(is_media_type_one_of(&MERGE_PATCH, &headers));
    }
}

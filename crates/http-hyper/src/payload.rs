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
    activity::Activity,
    limits::Limits,
    places::in_place,
    problem::{Problem, Result},
    shares::Place,
};

/// What JSON calls itself.
pub(crate) static JSON: [&str; 1] = ["application/json"];
/// The same, where it says what to change.
pub(crate) static MERGE_PATCH: [&str; 2] = ["application/merge-patch+json", "application/json"];

/// What nobody wanted is still waited for this long, and up to this size: many clients send the head
/// and the body in two pieces, and an answer may be there before the second one is.
const SOON: Duration = Duration::from_millis(100);
const LITTLE: usize = 64 * 1024;

/// A body that may or may not be read.
#[derive(Debug)]
pub(crate) struct Payload {
    incoming: Incoming,
    most: usize,
    within: Duration,
    state: State,
    activity: Activity,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Untouched,
    /// Given up, or its sender waits to be told that it is wanted (RFC 9110, 10.1.1).
    Left,
    Read,
}

impl Payload {
    pub(crate) fn new(
        incoming: Incoming,
        headers: &HeaderMap,
        limits: &Limits,
        activity: Activity,
    ) -> Self {
        let withheld = headers.contains_key(header::EXPECT);
        let state = if withheld { State::Left } else { State::Untouched };
        Self { incoming, most: limits.body_bytes, within: limits.body_time, state, activity }
    }

    /// Text of one of these media types, or nothing at all. While it is on its way it has a place.
    ///
    /// # Errors
    /// 413 when it is too large, 408 when it comes too slowly, 415 when it is said to be something else; and
    /// when there is no place.
    pub(crate) async fn text(
        &mut self,
        headers: &HeaderMap,
        takes: &'static [&'static str],
        place: impl FnOnce() -> Result<Place>,
    ) -> Result<Bytes> {
        let bytes = self.arrive(self.most, self.within, || place().map(Some)).await?;
        if bytes.is_empty() || is_one_of(takes, headers) {
            Ok(bytes)
        } else {
            Err(Problem::UnsupportedMediaType { takes })
        }
    }

    /// Whether nothing of it is left on the connection, which can then take another request. A little
    /// that is about to come is read for that.
    pub(crate) async fn is_spent(&mut self) -> bool {
        if self.state == State::Untouched && !self.incoming.is_end_stream() {
            // What went wrong with it no longer matters to anyone.
            let _ = self.arrive(LITTLE.min(self.most), SOON, || Ok(None)).await;
        }
        self.state == State::Read || self.incoming.is_end_stream()
    }

    async fn arrive(
        &mut self,
        most: usize,
        within: Duration,
        place: impl FnOnce() -> Result<Option<Place>>,
    ) -> Result<Bytes> {
        self.state = State::Left;
        let announced = self.incoming.size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > most) {
            return Err(Problem::PayloadTooLarge { limit: most });
        }
        let Self { incoming, activity, .. } = self;
        let arrival = tokio::time::timeout(within, arrive(incoming, most, activity));
        let arrived = in_place(arrival, || Ok((place()?, activity.expect()))).await?;
        let bytes = arrived.map_err(|_| Problem::BodyTooSlow)??;
        self.state = State::Read;
        Ok(bytes)
    }
}

async fn arrive(incoming: &mut Incoming, most: usize, activity: &Activity) -> Result<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        activity.moves();
        let frame = frame.map_err(|_| Problem::invalid("", "the body ended early"))?;
        // What is no data is trailers, and says nothing to us.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > most - bytes.len() {
            return Err(Problem::PayloadTooLarge { limit: most });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// One of these types, in UTF-8 if it says in what, as it is.
fn is_one_of(types: &[&str], headers: &HeaderMap) -> bool {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(plain) {
        return false;
    }
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let Ok(kind) = kind.to_str() else { return false };
    let mut parts = kind.split(';').map(str::trim);
    let Some(essence) = parts.next() else { return false };
    types.iter().any(|known| essence.eq_ignore_ascii_case(known)) && parts.all(is_harmless)
}

/// A parameter of the media type: a charset must be UTF-8, what else there is means nothing here.
fn is_harmless(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    !name.trim().eq_ignore_ascii_case("charset")
        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_to_be(kinds: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for kind in kinds {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        is_one_of(&JSON, &headers)
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        for good in [
            "application/json",
            "APPLICATION/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; x=y",
        ] {
            assert!(said_to_be(&[good]), "{good}");
        }
        for bad in
            ["text/plain", "application/json; charset=latin1", "application/jsonp", "", "*/*"]
        {
            assert!(!said_to_be(&[bad]), "{bad}");
        }
        assert!(!said_to_be(&[]));
        assert!(!said_to_be(&["application/json", "application/json"]));
    }

    #[test]
    fn compressed_json_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_one_of(&JSON, &headers));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(is_one_of(&MERGE_PATCH, &headers));
    }
}

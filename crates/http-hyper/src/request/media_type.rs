//! The media type of request bodies.

use bytes::Bytes;
use http_listener::{NoPermit, Permit, RequestBody};
use hyper::{
    HeaderMap,
    header::{self, HeaderValue},
};

use crate::response::problem::{Problem, Result};

/// The media types of JSON.
pub(crate) static JSON: [&str; 1] = ["application/json"];
/// The media types of a JSON merge patch.
pub(crate) static MERGE_PATCH: [&str; 2] = ["application/merge-patch+json", "application/json"];

/// The media type of forms.
pub(crate) static FORM: [&str; 1] = ["application/x-www-form-urlencoded"];

/// Reads a body with one of the `accepted` media types. No body needs no media type. `permit` is
/// taken while the body arrives.
///
/// # Errors
/// The body cannot be read, or has another media type.
pub(crate) async fn read(
    body: &mut RequestBody,
    headers: &HeaderMap,
    accepted: &'static [&'static str],
    permit: impl FnOnce() -> Result<Permit, NoPermit>,
) -> Result<Bytes> {
    let bytes = body.read(permit).await?;
    if bytes.is_empty() || is_one_of(accepted, headers) {
        Ok(bytes)
    } else {
        Err(Problem::UnsupportedMediaType { accepted })
    }
}

/// Returns whether the headers state one of `types`, uncompressed and in UTF-8.
fn is_one_of(types: &[&str], headers: &HeaderMap) -> bool {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(identity) {
        return false;
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    let Some(essence) = parts.next() else { return false };
    types.iter().any(|known| essence.eq_ignore_ascii_case(known)) && parts.all(is_acceptable)
}

/// Returns whether a parameter of the media type is acceptable: any except a charset other than
/// UTF-8.
fn is_acceptable(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    !name.trim().eq_ignore_ascii_case("charset")
        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_json(kinds: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for kind in kinds {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        is_one_of(&JSON, &headers)
    }

    #[test]
    fn json_is_recognized_by_its_media_type() {
        for good in [
            "application/json",
            "APPLICATION/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"; x=y",
        ] {
            assert!(is_json(&[good]), "{good}");
        }
        for bad in
            ["text/plain", "application/json; charset=latin1", "application/jsonp", "", "*/*"]
        {
            assert!(!is_json(&[bad]), "{bad}");
        }
        assert!(!is_json(&[]));
        assert!(!is_json(&["application/json", "application/json"]));
    }

    #[test]
    fn compressed_json_is_rejected() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(!is_one_of(&JSON, &headers));
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert!(is_one_of(&MERGE_PATCH, &headers));
    }
}

//! The check that a request comes from a page of this service.
//!
//! Browsers state the origin of a request in `Sec-Fetch-Site`, which no page can set. Browsers that do
//! not send the header send `Origin` with every request except GET and HEAD. Other programs can send
//! any header, which is no attack: they have no cookie of a user.
//!
//! Decision: ADR 0055.

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};

use super::public_url::PublicUrl;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The logged cause of a request that the check rejects.
const OTHER_ORIGIN: &str = "not a request of a page of this service";

/// Accepts requests with `Sec-Fetch-Site: same-origin`, or, without this header, with the `Origin` of
/// the public URL. A sibling domain (`same-site`) is another origin.
///
/// # Errors
/// The cause for the log; callers get the response of a missing credential.
pub(crate) fn check(headers: &HeaderMap, url: &PublicUrl) -> Result<(), &'static str> {
    let is_own = match only(headers, &SEC_FETCH_SITE) {
        Some(site) => site == Some("same-origin"),
        None => only(headers, &header::ORIGIN) == Some(Some(url.origin())),
    };
    if is_own { Ok(()) } else { Err(OTHER_ORIGIN) }
}

/// Accepts requests with one of the listed values of `Origin`: pages of another site, which the operator
/// trusts.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_listed(headers: &HeaderMap, origins: &[String]) -> Result<(), &'static str> {
    match only(headers, &header::ORIGIN) {
        Some(Some(origin)) if origins.iter().any(|listed| listed == origin) => Ok(()),
        _ => Err(OTHER_ORIGIN),
    }
}

/// Returns the value of a header: `None` without the header, `Some(None)` for a header that is given
/// twice or is no text.
#[expect(clippy::option_option, reason = "absent, unusable and a value are three things")]
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut given = headers.get_all(name).iter();
    let first = given.next()?;
    Some(first.to_str().ok().filter(|_| given.next().is_none()))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn is_accepted(headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        check(&map, &PublicUrl::parse("https://berth.example").unwrap()).is_ok()
    }

    #[test]
    fn own_pages_are_accepted() {
        assert!(is_accepted(&[("sec-fetch-site", "same-origin")]));
        assert!(is_accepted(&[("sec-fetch-site", "same-origin"), ("origin", "https://a.example")]));
        assert!(is_accepted(&[("origin", "https://berth.example")]));
    }

    #[test]
    fn listed_origins_are_accepted() {
        let is_listed = |origin: Option<&'static str>| {
            let mut map = HeaderMap::new();
            if let Some(origin) = origin {
                map.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            check_listed(&map, &["https://app.example".to_owned()]).is_ok()
        };
        assert!(is_listed(Some("https://app.example")));
        for origin in ["https://app.example.evil.example", "http://app.example", "null", ""] {
            assert!(!is_listed(Some(origin)), "{origin:?}");
        }
        assert!(!is_listed(None));
    }

    #[test]
    fn other_requests_are_rejected() {
        for site in ["cross-site", "same-site", "none", "", "Same-Origin", "same-origin, none"] {
            assert!(!is_accepted(&[("sec-fetch-site", site)]), "{site:?}");
            // The header wins over `Origin`.
            let own = ("origin", "https://berth.example");
            assert!(!is_accepted(&[("sec-fetch-site", site), own]), "{site:?}");
        }
        for origin in [
            "null",
            "",
            "https://berth.example:8443",
            "http://berth.example",
            "https://x.berth.example",
            "https://berth.example/",
            "https://berth.example.evil.example",
        ] {
            assert!(!is_accepted(&[("origin", origin)]), "{origin:?}");
        }
        assert!(!is_accepted(&[]), "a GET of a browser without Sec-Fetch-Site");
        assert!(!is_accepted(&[("host", "berth.example"), ("referer", "https://berth.example/")]));
        let twice = ("sec-fetch-site", "same-origin");
        assert!(!is_accepted(&[twice, twice]));
        let twice = ("origin", "https://berth.example");
        assert!(!is_accepted(&[twice, twice]));
    }
}

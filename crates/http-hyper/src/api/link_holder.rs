//! The authentication of the holder of a share link: a request of a page of this service, with the
//! cookie of the browser that opened the link.
//!
//! Every refusal is the response of a link that does not exist, so that another browser, a used and an
//! unknown link are one response.
//!
//! Decision: ADR 0056.

use domain::{Caller, Error};
use http_listener::RequestContext;

use crate::{
    browser::{cookie::CookieSpec, same_origin, secret},
    request_log::RequestLog,
    resources::Resources,
    response::problem::Result,
};

/// The cookie of the browser that opened a link.
pub(crate) const LINK_COOKIE: CookieSpec = CookieSpec::strict("__Host-berth-link", "berth-link");

/// The response of a link that does not exist for the request.
const NOT_FOUND: Error = Error::NotFound { noun: "link" };

/// Rejects requests of other origins.
///
/// # Errors
/// 404.
pub(super) fn check_origin(
    request: &RequestContext<RequestLog>,
    resources: &Resources,
) -> Result<()> {
    let checked = same_origin::check(&request.head.headers, &resources.browser.public_url);
    checked.map_err(|cause| {
        request.log.set_refused(cause);
        NOT_FOUND.into()
    })
}

/// Returns the digest of the cookie of a request.
///
/// # Errors
/// 404.
pub(super) fn read_cookie(
    request: &RequestContext<RequestLog>,
    resources: &Resources,
) -> Result<[u8; 32]> {
    let cookie = LINK_COOKIE.read(&request.head.headers, &resources.browser.public_url);
    cookie.and_then(secret::digest).ok_or_else(|| {
        request.log.set_refused("no cookie of a link");
        NOT_FOUND.into()
    })
}

/// Returns the holder of the link of a browser.
///
/// # Errors
/// 404, and 503 when the link cannot be looked up now.
pub(super) async fn find(resources: &Resources, browser: [u8; 32]) -> domain::Result<Caller> {
    resources.links.holder(&browser).await
}

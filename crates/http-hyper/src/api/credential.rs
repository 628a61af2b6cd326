//! The credential of a request: a bearer token, an API key, the cookie of a browser session, or a ticket.

use domain::{BrowserSessionDigest, ports::Credential};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use crate::{
    browser::{dependencies::Browser, same_origin},
    request::query::Query,
};

/// The parameter with a ticket.
pub(crate) const TICKET: &str = "ticket";
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The credential of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestCredential {
    /// A credential in a header of its own.
    Header(Credential),
    /// The cookie of a browser session.
    Cookie(BrowserSessionDigest),
}

/// Returns the credential of a request. A cookie counts without any other credential only.
pub(super) fn read(
    headers: &HeaderMap,
    browser: &Browser,
) -> Result<RequestCredential, &'static str> {
    match read_header(headers) {
        Err(NO_CREDENTIAL) => read_cookie(headers, browser).map(RequestCredential::Cookie),
        read => read.map(RequestCredential::Header),
    }
}

/// Returns the browser session of a request. The cookie counts in requests of pages of this service
/// only, because browsers send it with requests of any page of the same site, too.
pub(super) fn read_cookie(
    headers: &HeaderMap,
    browser: &Browser,
) -> Result<BrowserSessionDigest, &'static str> {
    if !browser.enabled {
        return Err(NO_CREDENTIAL);
    }
    let digest = browser.session_digest(headers).ok_or(NO_CREDENTIAL)?;
    same_origin::check(headers, &browser.public_url)?;
    digest
}

/// The logged cause of a request without a credential.
const NO_CREDENTIAL: &str = "no credential";

/// Returns the credential in a header of its own. Two credentials are rejected, because the choice
/// between them would be a guess.
fn read_header(headers: &HeaderMap) -> Result<Credential, &'static str> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
    let keys = headers.get_all(X_API_KEY).iter().map(api_key);
    let mut given = bearers.chain(keys);
    match (given.next(), given.next()) {
        (None, _) => Err(NO_CREDENTIAL),
        (Some(_), Some(_)) => Err("more than one credential"),
        (Some(credential), None) => credential.ok_or("malformed credential"),
    }
}

/// Returns the ticket in a query; empty for a query without exactly one ticket. Other faults of the
/// query are reported after the authentication.
pub(super) fn read_ticket(query: &str) -> String {
    let mut query = Query::parse(query, &[TICKET]);
    match &mut query.texts(TICKET)[..] {
        [ticket] => std::mem::take(ticket),
        _ => String::new(),
    }
}

fn bearer(value: &HeaderValue) -> Option<Credential> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && is_token(token))
        .then(|| Credential::Bearer(token.to_owned()))
}

fn api_key(value: &HeaderValue) -> Option<Credential> {
    let key = value.to_str().ok()?.trim_matches(' ');
    is_token(key).then(|| Credential::ApiKey(key.to_owned()))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(headers: &[(&'static str, &'static str)]) -> Result<Credential, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        read_header(&map)
    }

    #[test]
    fn bearer_token_or_key_is_a_credential() {
        let bearer = Ok(Credential::Bearer("abc".to_owned()));
        for value in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            assert_eq!(credential(&[("authorization", value)]), bearer, "{value}");
        }
        assert_eq!(credential(&[("x-api-key", "wa_1")]), Ok(Credential::ApiKey("wa_1".to_owned())));
    }

    #[test]
    fn other_headers_are_no_credential() {
        for value in ["", "abc", "Basic abc", "Bearer", "Bearer ", "Bearer a b", "Bearer\tabc"] {
            assert_eq!(
                credential(&[("authorization", value)]),
                Err("malformed credential"),
                "{value:?}"
            );
        }
        assert_eq!(credential(&[]), Err("no credential"));
        let two = Err("more than one credential");
        assert_eq!(credential(&[("authorization", "Bearer a"), ("x-api-key", "a")]), two);
        assert_eq!(
            credential(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]),
            two
        );
        assert_eq!(credential(&[("x-api-key", "a"), ("x-api-key", "a")]), two);
    }
}

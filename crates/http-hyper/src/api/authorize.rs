//! Authentication and authorization of requests: credential, caller, request rate, permission.

use std::sync::Arc;

use domain::{
    Caller, Error,
    ports::{Authenticator, Credential, Refused},
};
use http_listener::{NoPermit, Permit, PermitHolder, with_permit_if_pending};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use super::{
    requires::Requires,
    throttle::{Rates, Throttle},
};
use crate::{request_log::RequestLog, response::problem::Result};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Admits callers to operations.
pub(crate) struct Authorizer {
    authenticator: Arc<dyn Authenticator>,
    throttle: Throttle,
}

impl Authorizer {
    pub(crate) fn new(authenticator: Arc<dyn Authenticator>, rates: Rates) -> Self {
        Self { authenticator, throttle: Throttle::new(rates) }
    }

    /// Returns the caller and the holder of its permits; `None` for an operation that requires
    /// nothing. A permit is held while the credential is looked up.
    ///
    /// # Errors
    /// 401, the same for every cause; 429 above the request rate; 403 without the permission; 503
    /// when the credential cannot be checked now, or without a permit.
    pub(crate) async fn authorize(
        &self,
        requires: Requires,
        headers: &HeaderMap,
        log: &RequestLog,
        permit: impl FnOnce() -> Result<Permit, NoPermit>,
    ) -> Result<Option<(Caller, PermitHolder)>> {
        if requires == Requires::Nothing {
            return Ok(None);
        }
        let refuse = |cause| {
            log.set_refused(cause);
            Error::Unauthorized
        };
        let credential = credential(headers).map_err(refuse)?;
        let caller =
            match with_permit_if_pending(self.authenticator.authenticate(&credential), permit)
                .await?
            {
                Ok(caller) => caller,
                Err(Refused::Denied(cause)) => return Err(refuse(cause).into()),
                Err(Refused::Unavailable(source)) => return Err(Error::unavailable(source).into()),
            };
        log.set_caller(&caller);
        let holder = self.throttle.count(&caller)?;
        requires.authorize(&caller)?;
        Ok(Some((caller, holder)))
    }
}

/// Returns the credential of a request. Two credentials are rejected, because the choice between
/// them would be a guess.
fn credential(headers: &HeaderMap) -> Result<Credential, &'static str> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
    let keys = headers.get_all(X_API_KEY).iter().map(api_key);
    let mut given = bearers.chain(keys);
    match (given.next(), given.next()) {
        (None, _) => Err("no credential"),
        (Some(_), Some(_)) => Err("more than one credential"),
        (Some(credential), None) => credential.ok_or("malformed credential"),
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

    fn read(headers: &[(&'static str, &'static str)]) -> Result<Credential, &'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        credential(&map)
    }

    #[test]
    fn bearer_token_or_key_is_a_credential() {
        let bearer = Ok(Credential::Bearer("abc".to_owned()));
        for value in ["Bearer abc", "bearer abc", "BEARER   abc "] {
            assert_eq!(read(&[("authorization", value)]), bearer, "{value}");
        }
        assert_eq!(read(&[("x-api-key", "wa_1")]), Ok(Credential::ApiKey("wa_1".to_owned())));
    }

    #[test]
    fn other_headers_are_no_credential() {
        for value in ["", "abc", "Basic abc", "Bearer", "Bearer ", "Bearer a b", "Bearer\tabc"] {
            assert_eq!(read(&[("authorization", value)]), Err("malformed credential"), "{value:?}");
        }
        assert_eq!(read(&[]), Err("no credential"));
        let two = Err("more than one credential");
        assert_eq!(read(&[("authorization", "Bearer a"), ("x-api-key", "a")]), two);
        assert_eq!(read(&[("authorization", "Bearer a"), ("authorization", "Bearer a")]), two);
        assert_eq!(read(&[("x-api-key", "a"), ("x-api-key", "a")]), two);
    }
}

//! A delivery, and the request of one attempt at it.

use std::fmt;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Uri,
    header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, InvalidHeaderValue},
};

use crate::{headers::CustomHeaders, signature::SigningSecrets, url::WebhookUrl};

/// An event for a webhook, with everything that one attempt sends. Without `Debug`, because the body
/// is the organization's data.
#[derive(Clone)]
pub struct Delivery {
    /// The organization, whose lookups share permits and cached addresses.
    pub organization: String,
    /// The webhook's id; connections are used again only for the same webhook.
    pub webhook: String,
    /// The destination.
    pub url: WebhookUrl,
    /// The id of the event, the same in every attempt; visible ASCII.
    pub event: String,
    /// The body, as it is signed and sent.
    pub body: Bytes,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// The time of the attempt, in milliseconds since 1970.
    pub at: u64,
    /// Whether a replay causes the delivery.
    pub replay: bool,
    /// The secrets; without them the request has no signature.
    pub secrets: Option<SigningSecrets>,
    /// Headers of the webhook's owner.
    pub headers: CustomHeaders,
}

/// A signed request, ready to be sent. `Debug` shows neither body nor headers.
#[derive(Clone)]
pub struct Attempt {
    pub(crate) organization: String,
    pub(crate) webhook: String,
    pub(crate) url: WebhookUrl,
    /// The time of the attempt, in milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The error for an event id that no header carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event id is not visible ASCII")]
pub struct InvalidEventId;

impl Attempt {
    /// Signs the delivery.
    ///
    /// # Errors
    /// [`InvalidEventId`] if the event id cannot stand in a header.
    pub fn new(delivery: &Delivery) -> Result<Self, InvalidEventId> {
        if !delivery.event.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidEventId);
        }
        // Every other generated value is a number, hexadecimal or base64.
        let headers = headers(delivery).map_err(|_| InvalidEventId)?;
        Ok(Self {
            organization: delivery.organization.clone(),
            webhook: delivery.webhook.clone(),
            url: delivery.url.clone(),
            at: delivery.at,
            headers,
            body: delivery.body.clone(),
        })
    }

    /// Returns the request in the form that HTTP/1.1 sends to an origin server.
    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(self.url.target().clone());
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Attempt");
        shown.field("webhook", &self.webhook).field("url", &self.url).finish_non_exhaustive()
    }
}

/// Returns the headers of the request. Headers of the owner replace `Content-Type` and
/// `User-Agent`; they cannot have the names of the others.
fn headers(delivery: &Delivery) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::with_capacity(16);
    let mut set = |name: &'static str, value: String| -> Result<(), InvalidHeaderValue> {
        headers.insert(name, HeaderValue::try_from(value)?);
        Ok(())
    };
    let seconds = delivery.at / 1_000;
    set(HOST.as_str(), delivery.url.authority())?;
    set(CONTENT_TYPE.as_str(), "application/json".to_owned())?;
    set("x-webhook-request-id", delivery.event.clone())?;
    set("x-webhook-timestamp", delivery.at.to_string())?;
    set("x-webhook-attempt", delivery.number.to_string())?;
    if delivery.replay {
        set("x-webhook-replay", "1".to_owned())?;
    }
    set("webhook-id", delivery.event.clone())?;
    set("webhook-timestamp", seconds.to_string())?;
    if let Some(secrets) = &delivery.secrets {
        let signatures = secrets.standard_signatures(&delivery.event, seconds, &delivery.body);
        set("webhook-signature", signatures)?;
        set("x-webhook-hmac", secrets.current.body_hmac(&delivery.body))?;
        set("x-webhook-hmac-algorithm", "sha512".to_owned())?;
        if let Some(previous) = &secrets.previous {
            set("x-webhook-hmac-previous", previous.body_hmac(&delivery.body))?;
        }
    }
    delivery.headers.add_to(&mut headers);
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SigningSecret;

    const CURRENT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const PREVIOUS: &str = "an older secret-of-24-chars";

    fn delivery(secrets: Option<(&str, Option<&str>)>) -> Delivery {
        let secret = |text: &str| SigningSecret::new(text.replace(' ', "-")).unwrap();
        Delivery {
            organization: "org_1".into(),
            webhook: "wh_1".into(),
            url: "https://example.com:8443/hook?key=1".parse().unwrap(),
            event: "evt_1".into(),
            body: Bytes::from_static(br#"{"event":"session.status"}"#),
            number: 3,
            at: u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap() * 1_000
                + 7,
            replay: false,
            secrets: secrets.map(|(current, previous)| SigningSecrets {
                current: secret(current),
                previous: previous.map(secret),
            }),
            headers: CustomHeaders::default(),
        }
    }

    fn request(delivery: &Delivery) -> Request<Full<Bytes>> {
        Attempt::new(delivery).unwrap().request()
    }

    #[test]
    fn request_without_secret_has_no_signature() {
        let delivery = delivery(None);
        let request = request(&delivery);
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri(), "/hook?key=1");
        let headers: Vec<_> = request.headers().iter().collect();
        let at = delivery.at.to_string();
        for (name, value) in [
            ("host", "example.com:8443"),
            ("content-type", "application/json"),
            ("x-webhook-request-id", "evt_1"),
            ("x-webhook-timestamp", at.as_str()),
            ("x-webhook-attempt", "3"),
            ("webhook-id", "evt_1"),
            ("webhook-timestamp", &at[..at.len() - 3]),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        assert_eq!(headers.len(), 7, "{headers:?}");
    }

    #[test]
    fn standardwebhooks_crate_verifies_both_signatures_of_a_rotation() {
        let newest = standardwebhooks::Webhook::new(CURRENT).unwrap();
        let oldest = standardwebhooks::Webhook::from_bytes(PREVIOUS.replace(' ', "-").into());
        let oldest = oldest.unwrap();
        for (secrets, verified) in [
            ((CURRENT, None), [true, false]),
            ((CURRENT, Some(PREVIOUS)), [true, true]),
            ((PREVIOUS, None), [false, true]),
        ] {
            let delivery = delivery(Some(secrets));
            let request = request(&delivery);
            let verify = |by: &standardwebhooks::Webhook| {
                by.verify(&delivery.body, request.headers()).is_ok()
            };
            assert_eq!([verify(&newest), verify(&oldest)], verified);
            let hmac = |name: &str| {
                request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
            };
            let of = |secret: &SigningSecret| secret.body_hmac(&delivery.body);
            let own = delivery.secrets.as_ref().unwrap();
            assert_eq!(hmac("x-webhook-hmac"), Some(of(&own.current)));
            assert_eq!(hmac("x-webhook-hmac-algorithm").as_deref(), Some("sha512"));
            assert_eq!(hmac("x-webhook-hmac-previous"), own.previous.as_ref().map(of));
        }
    }

    #[test]
    fn altered_body_is_not_verified() {
        let delivery = delivery(Some((CURRENT, None)));
        let verifier = standardwebhooks::Webhook::new(CURRENT).unwrap();
        let altered = br#"{"event":"session.deleted"}"#;
        assert!(verifier.verify(altered, request(&delivery).headers()).is_err());
    }

    #[test]
    fn custom_headers_replace_content_type_and_add_others() {
        let headers = [("content-type", "application/vnd.x+json"), ("X-Token", "abc")];
        let headers = CustomHeaders::new(headers, &CustomHeaders::default()).unwrap();
        let replay = Delivery { headers, replay: true, ..delivery(None) };
        let request = request(&replay);
        assert_eq!(request.headers()["content-type"], "application/vnd.x+json");
        assert_eq!(request.headers().get_all("content-type").iter().count(), 1);
        assert_eq!(request.headers()["x-token"], "abc");
        assert_eq!(request.headers()["x-webhook-replay"], "1");
        let shown = format!("{:?}", Attempt::new(&replay).unwrap());
        assert_eq!(shown, r#"Attempt { webhook: "wh_1", url: https://example.com, .. }"#);
    }

    #[test]
    fn event_id_must_fit_a_header() {
        for event in ["evt 1", "evt\r\nx: y", "é"] {
            let delivery = Delivery { event: event.into(), ..delivery(None) };
            assert_eq!(Attempt::new(&delivery).unwrap_err(), InvalidEventId);
        }
    }
}

//! The identity of a request with an `Idempotency-Key`, and the encryption of its recorded
//! response.
//!
//! Decision: ADR 0014.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    AcceptanceKey, Actor, BrowserSessionDigest, Error, IdempotencyKeyHash, IdempotencyRecord,
    OrganizationId, Scope, Timestamp,
};
use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::response::{
    problem::{Problem, Result},
    reply::Reply,
};

/// Lifetime of the recorded response of a success.
const RESPONSE_TTL: Duration = Duration::from_secs(24 * 60 * 60);
const NONCE_BYTES: usize = 12;

/// The parts of a request that distinguish it from other requests with the same key.
pub(crate) struct RequestIdentity<'a> {
    /// The name of the operation.
    pub(crate) route: &'a str,
    /// Path and query as sent.
    pub(crate) target: &'a str,
    /// The body as sent.
    pub(crate) body: &'a [u8],
    /// The browser session that sent the request.
    pub(crate) browser_session: Option<BrowserSessionDigest>,
}

/// A request with an `Idempotency-Key`.
pub(crate) struct IdempotentRequest {
    scope: Scope,
    key_hash: IdempotencyKeyHash,
    request: [u8; 32],
    key: RandomizedNonceKey,
    expires_at: Timestamp,
    /// The latest response text that was recorded, and whether its record is committed.
    latest: Mutex<(Vec<u8>, bool)>,
}

impl IdempotentRequest {
    /// Identifies a request of the scope's caller with the idempotency key `name`.
    ///
    /// # Errors
    /// The cryptographic library fails.
    pub(crate) fn new(
        scope: Scope,
        name: &str,
        asked: &RequestIdentity<'_>,
        now: Timestamp,
    ) -> Result<Self> {
        let organization = scope.organization().as_str();
        let credential = credential(scope.actor(), asked.browser_session);
        let parts = [organization, &credential, asked.route];
        // Only the caller knows the idempotency key, so that the database alone cannot decrypt the
        // response.
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, name.as_bytes());
        let key = hmac::sign(&mac_key, &length_prefixed("berth receipt", &parts));
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).map_err(unreadable_record)?;
        let key_hash = digest("berth slot", &[organization, &credential, asked.route, name]);
        let mut request =
            Sha256::new_with_prefix(length_prefixed("berth request", &[asked.target]));
        request.update(asked.body);
        Ok(Self {
            scope,
            key_hash: IdempotencyKeyHash(key_hash),
            request: request.finalize().into(),
            key,
            expires_at: now.plus(RESPONSE_TTL),
            latest: Mutex::default(),
        })
    }

    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(crate) fn organization(&self) -> &OrganizationId {
        self.scope.organization()
    }

    pub(crate) fn key_hash(&self) -> IdempotencyKeyHash {
        self.key_hash
    }

    /// Returns the fingerprint of the request, which a use case stores with its change.
    pub(crate) fn acceptance_key(&self) -> AcceptanceKey {
        AcceptanceKey { key_hash: self.key_hash, request: self.request }
    }

    /// Returns the encrypted record of this response.
    pub(crate) fn record(&self, reply: &Reply) -> domain::Result<IdempotencyRecord> {
        let text =
            RecordedResponse::of(reply).and_then(|recorded| Ok(serde_json::to_vec(&recorded)?));
        let text = text.map_err(Error::Internal)?;
        let mut sealed = text.clone();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.key_hash.0), &mut sealed)
            .map_err(|_| Error::Internal("a response cannot be encrypted".into()))?;
        let mut answer = nonce.as_ref().to_vec();
        answer.append(&mut sealed);
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).0 = text;
        let Self { key_hash, request, expires_at, .. } = *self;
        Ok(IdempotencyRecord { key_hash, request, response: answer, expires_at })
    }

    /// Returns the response of a record with this key hash.
    ///
    /// # Errors
    /// The record belongs to another request (409), or cannot be decrypted.
    pub(crate) fn open(&self, record: &IdempotencyRecord) -> Result<Reply> {
        if record.request != self.request {
            return Err(Error::conflict("this idempotency key was used for another request").into());
        }
        let (nonce, sealed) =
            record.response.split_at_checked(NONCE_BYTES).ok_or_else(|| unreadable_record(()))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(unreadable_record)?;
        let mut text = sealed.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(self.key_hash.0), &mut text);
        let recorded: RecordedResponse =
            serde_json::from_slice(text.map_err(unreadable_record)?).map_err(Problem::internal)?;
        recorded.reply()
    }

    /// Records that the change is committed together with the latest record.
    pub(crate) fn written(&self) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Returns whether the latest record contains exactly this response.
    pub(crate) fn is_recorded_as(&self, reply: &Reply) -> bool {
        let text =
            RecordedResponse::of(reply).and_then(|recorded| Ok(serde_json::to_vec(&recorded)?));
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        text.is_ok_and(|text| text == latest.0)
    }
}

/// A response as the record contains it. Responses to a POST are text.
#[derive(Serialize, Deserialize)]
struct RecordedResponse {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl RecordedResponse {
    fn of(reply: &Reply) -> Result<Self, domain::ports::BoxError> {
        let header = |(name, value): (&HeaderName, &HeaderValue)| {
            Ok((name.as_str().to_owned(), value.to_str()?.to_owned()))
        };
        let headers: Result<_, domain::ports::BoxError> =
            reply.headers.iter().map(header).collect();
        let body = String::from_utf8(reply.body.to_vec())?;
        Ok(Self { status: reply.status.as_u16(), headers: headers?, body })
    }

    fn reply(self) -> Result<Reply> {
        let status = StatusCode::from_u16(self.status).map_err(Problem::internal)?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let name: HeaderName = name.parse().map_err(Problem::internal)?;
            headers.append(name, HeaderValue::try_from(value).map_err(Problem::internal)?);
        }
        Ok(Reply { status, headers, body: self.body.into() })
    }
}

/// Returns the credential that owns idempotency keys: a browser session, an API key, or a person with any
/// token.
fn credential(actor: &Actor, browser_session: Option<BrowserSessionDigest>) -> String {
    if let Some(BrowserSessionDigest(digest)) = browser_session {
        return format!("browser {}", URL_SAFE_NO_PAD.encode(digest));
    }
    match actor {
        Actor::User(user) => format!("user {}", user.as_ref().map_or("", |user| user.as_str())),
        Actor::Key(key) => format!("key {key}"),
        Actor::Link(link) => format!("link {link}"),
        Actor::Operator => "operator".to_owned(),
        Actor::System => "system".to_owned(),
    }
}

fn digest(purpose: &str, parts: &[&str]) -> [u8; 32] {
    Sha256::digest(length_prefixed(purpose, parts)).into()
}

/// Concatenates the parts, each after its length, so that different lists give different bytes.
fn length_prefixed(purpose: &str, parts: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in [purpose].iter().chain(parts) {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    all
}

fn unreadable_record<E>(_: E) -> Problem {
    Problem::internal("a recorded response cannot be decrypted")
}

#[cfg(test)]
mod tests {
    use domain::{Caller, Capability};
    use hyper::header;

    use super::*;

    fn request(organization: &str, name: &str, body: &[u8]) -> IdempotentRequest {
        let organization = OrganizationId::parse(organization).unwrap();
        let scope = Caller::operator(organization).may(Capability::Manage).unwrap();
        let asked = RequestIdentity {
            route: "session_create",
            target: "/api/v1/sessions",
            body,
            browser_session: None,
        };
        IdempotentRequest::new(scope, name, &asked, Timestamp::from_millis(0)).unwrap()
    }

    fn reply() -> Reply {
        let reply = Reply::of(StatusCode::CREATED, "application/json", r#"{"key":"wa_secret"}"#);
        reply.with(header::LOCATION, HeaderValue::from_static("/api/v1/api-keys/key_1"))
    }

    #[test]
    fn same_request_reads_the_whole_response() {
        let record = request("acme", "k", b"{}").record(&reply()).unwrap();
        let opened = request("acme", "k", b"{}").open(&record).unwrap();
        assert_eq!((opened.status, &opened.headers), (StatusCode::CREATED, &reply().headers));
        assert_eq!(opened.body, reply().body);
        assert_eq!(record.expires_at, Timestamp::from_millis(86_400_000));
    }

    #[test]
    fn record_is_unreadable_without_the_idempotency_key() {
        let record = request("acme", "k", b"{}").record(&reply()).unwrap();
        let text = String::from_utf8_lossy(&record.response);
        assert!(!text.contains("secret") && !text.contains("key"), "{text}");
        for other in [request("acme", "other", b"{}"), request("zeta", "k", b"{}")] {
            assert_ne!(other.key_hash(), record.key_hash);
            assert!(other.open(&record).is_err());
        }
        let again = request("acme", "k", b"{}").record(&reply()).unwrap();
        assert_ne!(again.response, record.response, "each encryption has its own nonce");
    }

    #[test]
    fn other_request_with_the_same_key_is_a_conflict() {
        let record = request("acme", "k", b"{}").record(&reply()).unwrap();
        let other = request("acme", "k", b"{ }");
        assert_eq!(other.key_hash(), record.key_hash);
        let Err(Problem::Domain(Error::Conflict { retry_after, .. })) = other.open(&record) else {
            panic!("the record was opened");
        };
        assert_eq!(retry_after, None);
    }

    #[test]
    fn modified_record_is_rejected() {
        let mine = request("acme", "k", b"{}");
        let record = mine.record(&reply()).unwrap();
        for at in 0..record.response.len() {
            let mut bad = record.clone();
            bad.response[at] ^= 1;
            assert!(mine.open(&bad).is_err(), "{at}");
        }
        let short = IdempotencyRecord { response: vec![0; 5], ..record };
        assert!(mine.open(&short).is_err());
    }
}

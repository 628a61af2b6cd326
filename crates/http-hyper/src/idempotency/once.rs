//! One request that is carried out once: who it is, and its answer, sealed and opened again.
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
use domain::{
    Actor, Error, IdempotencyKeyHash, IdempotencyRecord, OrganizationId, Scope, Timestamp,
};
use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    problem::{Problem, Result},
    reply::Reply,
};

/// For how long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const NONCE: usize = 12;

/// What was asked, as far as it tells two requests apart.
pub(crate) struct Request<'a> {
    /// The operation.
    pub(crate) route: &'a str,
    /// Path and query, as they were sent.
    pub(crate) target: &'a str,
    /// The body, as it was sent.
    pub(crate) body: &'a [u8],
}

/// One request that is carried out once.
pub(crate) struct Once {
    scope: Scope,
    key_hash: IdempotencyKeyHash,
    request: [u8; 32],
    key: RandomizedNonceKey,
    expires_at: Timestamp,
    /// What it was last kept as; and whether that is written.
    kept: Mutex<(Vec<u8>, bool)>,
}

impl Once {
    /// This request of the scope's caller, under its own `name` for it.
    ///
    /// # Errors
    /// 500 when the machine's cryptography fails.
    pub(crate) fn new(
        scope: Scope,
        name: &str,
        asked: &Request<'_>,
        now: Timestamp,
    ) -> Result<Self> {
        let organization = scope.organization().as_str();
        let who = credential(scope.actor());
        let parts = [organization, &who, asked.route];
        // A name is often a UUID and may be less; either way it is nowhere but with the caller.
        let word = hmac::Key::new(hmac::HMAC_SHA256, name.as_bytes());
        let key = hmac::sign(&word, &joined("berth receipt", &parts));
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).map_err(broken)?;
        let key_hash = digest("berth slot", &[organization, &who, asked.route, name]);
        let mut request = Sha256::new_with_prefix(joined("berth request", &[asked.target]));
        request.update(asked.body);
        Ok(Self {
            scope,
            key_hash: IdempotencyKeyHash(key_hash),
            request: request.finalize().into(),
            key,
            expires_at: now.plus(KEPT_FOR),
            kept: Mutex::default(),
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

    /// The receipt of this answer.
    pub(crate) fn record(&self, reply: &Reply) -> domain::Result<IdempotencyRecord> {
        let text = Shown::of(reply).and_then(|shown| Ok(serde_json::to_vec(&shown)?));
        let text = text.map_err(Error::Internal)?;
        let mut sealed = text.clone();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.key_hash.0), &mut sealed)
            .map_err(|_| Error::Internal("an answer cannot be sealed".into()))?;
        let mut answer = nonce.as_ref().to_vec();
        answer.append(&mut sealed);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).0 = text;
        let Self { key_hash, request, expires_at, .. } = *self;
        Ok(IdempotencyRecord { key_hash, request, response: answer, expires_at })
    }

    /// The answer behind a receipt of this slot.
    ///
    /// # Errors
    /// 409 when it answers another request.
    pub(crate) fn open(&self, record: &IdempotencyRecord) -> Result<Reply> {
        if record.request != self.request {
            return Err(Error::conflict("this idempotency key was used for another request").into());
        }
        let (nonce, sealed) = record.response.split_at_checked(NONCE).ok_or_else(|| broken(()))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(broken)?;
        let mut text = sealed.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(self.key_hash.0), &mut text);
        let shown: Shown =
            serde_json::from_slice(text.map_err(broken)?).map_err(Problem::internal)?;
        shown.reply()
    }

    /// The change was written, and the newest receipt with it.
    pub(crate) fn written(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
    }

    pub(crate) fn is_written(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    /// Whether the newest receipt says just this.
    pub(crate) fn is_kept_as(&self, reply: &Reply) -> bool {
        let text = Shown::of(reply).and_then(|shown| Ok(serde_json::to_vec(&shown)?));
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        text.is_ok_and(|text| text == kept.0)
    }
}

/// An answer as it is kept. Those to a POST are text.
#[derive(Serialize, Deserialize)]
struct Shown {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Shown {
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

/// Whose requests are the same ones: a key's, or a person's whatever token they come with.
fn credential(actor: &Actor) -> String {
    match actor {
        Actor::User(user) => format!("user {}", user.as_ref().map_or("", |user| user.as_str())),
        Actor::Key(key) => format!("key {key}"),
        Actor::Operator => "operator".to_owned(),
        Actor::System => "system".to_owned(),
    }
}

fn digest(purpose: &str, parts: &[&str]) -> [u8; 32] {
    Sha256::digest(joined(purpose, parts)).into()
}

/// Each part with its length, so that no two lists read the same.
fn joined(purpose: &str, parts: &[&str]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in [purpose].iter().chain(parts) {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    all
}

fn broken<E>(_: E) -> Problem {
    Problem::internal("a kept answer cannot be opened")
}

#[cfg(test)]
mod tests {
    use domain::{Caller, Capability};
    use hyper::header;

    use super::*;

    fn once(organization: &str, name: &str, body: &[u8]) -> Once {
        let organization = OrganizationId::parse(organization).unwrap();
        let scope = Caller::operator(organization).may(Capability::Manage).unwrap();
        let asked = Request { route: "session_create", target: "/api/v1/sessions", body };
        Once::new(scope, name, &asked, Timestamp::from_millis(0)).unwrap()
    }

    fn reply() -> Reply {
        let reply = Reply::of(StatusCode::CREATED, "application/json", r#"{"key":"wa_secret"}"#);
        reply.with(header::LOCATION, HeaderValue::from_static("/api/v1/api-keys/key_1"))
    }

    #[test]
    fn an_answer_comes_back_whole_to_the_same_request() {
        let record = once("acme", "k", b"{}").record(&reply()).unwrap();
        let opened = once("acme", "k", b"{}").open(&record).unwrap();
        assert_eq!((opened.status, &opened.headers), (StatusCode::CREATED, &reply().headers));
        assert_eq!(opened.body, reply().body);
        assert_eq!(record.expires_at, Timestamp::from_millis(86_400_000));
    }

    #[test]
    fn what_is_kept_tells_nothing_without_the_callers_word() {
        let record = once("acme", "k", b"{}").record(&reply()).unwrap();
        let text = String::from_utf8_lossy(&record.response);
        assert!(!text.contains("secret") && !text.contains("key"), "{text}");
        for stranger in [once("acme", "other", b"{}"), once("zeta", "k", b"{}")] {
            assert_ne!(stranger.key_hash(), record.key_hash);
            assert!(stranger.open(&record).is_err());
        }
        let again = once("acme", "k", b"{}").record(&reply()).unwrap();
        assert_ne!(again.response, record.response, "two seals of one answer");
    }

    #[test]
    fn another_request_under_the_same_name_is_a_conflict() {
        let record = once("acme", "k", b"{}").record(&reply()).unwrap();
        let other = once("acme", "k", b"{ }");
        assert_eq!(other.key_hash(), record.key_hash);
        let Err(Problem::Domain(Error::Conflict { retry_after, .. })) = other.open(&record) else {
            panic!("it was opened");
        };
        assert_eq!(retry_after, None);
    }

    #[test]
    fn a_receipt_that_was_tampered_with_is_not_opened() {
        let mine = once("acme", "k", b"{}");
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

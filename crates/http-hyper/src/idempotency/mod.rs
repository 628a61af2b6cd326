//! `Idempotency-Key`: a repeated POST gets the first response and has no second effect.
//!
//! A success is replayed for a day and a refusal for ten minutes, per organization, credential and
//! route. A request that changes something commits the change and the recorded response in one
//! transaction ([`domain::IdempotencyRecord`]), so a crash, a lost connection or a second router
//! cannot repeat the change. The response of a request that changes nothing is recorded when it is
//! sent.
//!
//! Recorded are 2xx and final refusals. Not recorded are 401, 408, 429, 5xx and every response with
//! `Retry-After`, because the same request may succeed later. Refusals that precede the idempotency
//! check (authentication, permission, request rates) are not recorded either.
//!
//! A response may hold a secret (a new API key). It is encrypted with a key derived from the
//! caller's `Idempotency-Key`, so the database alone cannot reveal the secret.
//!
//! Decision: ADR 0014.

mod idempotent_request;
mod response_recorder;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    Error, IdempotencyKeyHash, OrganizationId,
    ports::{Environment, IdempotencyStore, Rejection},
};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

pub(crate) use idempotent_request::{IdempotentRequest, RequestIdentity};
pub(crate) use response_recorder::ResponseRecorder;

use crate::response::{
    problem::{Problem, Result},
    reply::Reply,
};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_KEY_LENGTH: usize = 255;

/// Lifetime of a recorded refusal. A refused request changed nothing and may be repeated without
/// harm.
const REFUSAL_TTL: Duration = Duration::from_secs(10 * 60);
/// Maximum size of a recorded refusal. A refusal that names the faults of a large body is large,
/// and costs its caller nothing.
const MAX_REFUSAL_BYTES: usize = 4096;

/// The `Idempotency-Key` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum IdempotencyKey {
    /// No header.
    #[default]
    Absent,
    /// A valid key.
    Given(String),
    /// An invalid key, or several keys.
    Malformed,
}

impl IdempotencyKey {
    /// Reads the header: one value of 1 to 255 visible ASCII characters.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let (Some(value), more) = (values.next(), values.next()) else { return Self::Absent };
        match value.to_str().map(|text| text.trim_matches([' ', '\t'])) {
            Ok(name)
                if more.is_none()
                    && (1..=MAX_KEY_LENGTH).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Self::Given(name.to_owned())
            }
            _ => Self::Malformed,
        }
    }
}

/// Detects repeated requests and answers them with their recorded response.
pub(crate) struct IdempotencyLayer {
    store: Arc<dyn IdempotencyStore>,
    environment: Arc<dyn Environment>,
    in_flight: Mutex<HashSet<(OrganizationId, IdempotencyKeyHash)>>,
}

impl IdempotencyLayer {
    pub(crate) fn new(store: Arc<dyn IdempotencyStore>, environment: Arc<dyn Environment>) -> Self {
        Self { store, environment, in_flight: Mutex::default() }
    }

    /// Returns the recorded response, or performs `work` and records its response.
    ///
    /// # Errors
    /// 409 when a request with the key is in flight, when the key was used for another request, or
    /// without room for the record; 503 when the store is unavailable; and the errors of `work`.
    pub(crate) async fn respond(
        &self,
        request: &IdempotentRequest,
        work: impl Future<Output = Result<Reply>>,
    ) -> Result<Reply> {
        let _in_flight = self.begin(request)?;
        if let Some(reply) = self.find_recorded(request).await? {
            return Ok(reply);
        }
        if let Some(full) = self.store.limit_reached(request.scope()).await.map_err(Error::from)? {
            return Err(Error::Full(full).into());
        }
        let outcome = work.await;
        self.record_outcome(request, outcome).await
    }

    /// Marks the key as in flight on this router. Requests on two routers conflict when both
    /// commit.
    fn begin<'a>(&'a self, request: &IdempotentRequest) -> Result<ActiveKeyGuard<'a>> {
        let name = (request.organization().clone(), request.key_hash());
        let mut in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if in_flight.insert(name.clone()) {
            return Ok(ActiveKeyGuard { layer: self, name });
        }
        Err(Error::from(Rejection::Repeated).into())
    }

    /// Returns the recorded response, if there is one.
    async fn find_recorded(&self, request: &IdempotentRequest) -> Result<Option<Reply>> {
        let now = self.environment.now();
        let stored = self
            .store
            .find(request.scope(), &request.key_hash(), now)
            .await
            .map_err(Error::from)?;
        let Some(record) = stored else { return Ok(None) };
        let reply = request.open(&record)?;
        Ok(Some(replayed(reply)))
    }

    /// Records a final outcome that is not recorded yet.
    async fn record_outcome(
        &self,
        request: &IdempotentRequest,
        outcome: Result<Reply>,
    ) -> Result<Reply> {
        let reply = match &outcome {
            Ok(reply) if request.is_committed() => {
                self.amend(request, reply).await;
                return outcome;
            }
            // The change is committed with its response; the later error concerns only this
            // response.
            Err(_) if request.is_committed() => return outcome,
            Ok(reply) => reply.clone(),
            Err(problem) => problem.reply(),
        };
        let full = matches!(outcome, Err(Problem::Domain(Error::Full(_))));
        if is_final(&reply) && !full {
            let (mut record, now) = (request.record(&reply)?, self.environment.now());
            if reply.status.is_client_error() {
                if record.response.len() > MAX_REFUSAL_BYTES {
                    return outcome;
                }
                record.expires_at = now.plus(REFUSAL_TTL);
            }
            let stored = self.store.record(request.scope(), &record, now).await;
            // Without room the outcome stays unrecorded. A repetition changes nothing, because this
            // request changed nothing.
            if stored.map_err(Error::from)? != Err(Rejection::Repeated) {
                return outcome;
            }
        } else if !reply.status.is_client_error() {
            return outcome;
        }
        // A request with the same key on another router was recorded first.
        Ok(match self.find_recorded(request).await? {
            Some(first) => first,
            None => outcome?,
        })
    }

    /// Replaces the committed response by the final one, which may differ: a logout waits for
    /// WhatsApp.
    async fn amend(&self, request: &IdempotentRequest, reply: &Reply) {
        if request.is_recorded_as(reply) {
            return;
        }
        let amended = match request.record(reply) {
            Ok(record) => self.store.amend(request.scope(), &record).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = amended {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "recorded response was not replaced by the final one");
        }
    }
}

/// Marks a response as that of an earlier request with the same key.
pub(crate) fn replayed(reply: Reply) -> Reply {
    reply.with(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))
}

/// Returns whether a repetition of the request would get the same response.
fn is_final(reply: &Reply) -> bool {
    let refused = reply.status.is_client_error()
        && !matches!(reply.status.as_u16(), 401 | 408 | 429)
        && !reply.headers.contains_key(header::RETRY_AFTER);
    reply.status.is_success() || refused
}

/// Marks an idempotency key as in flight until dropped.
struct ActiveKeyGuard<'a> {
    layer: &'a IdempotencyLayer,
    name: (OrganizationId, IdempotencyKeyHash),
}

impl Drop for ActiveKeyGuard<'_> {
    fn drop(&mut self) {
        self.layer.in_flight.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&'static str]) -> IdempotencyKey {
        let values = values.iter().map(|value| (IDEMPOTENCY_KEY, HeaderValue::from_static(value)));
        IdempotencyKey::read(&values.collect())
    }

    #[test]
    fn key_is_one_value_of_visible_characters() {
        assert_eq!(key(&[]), IdempotencyKey::Absent);
        for name in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", "~!,;"] {
            assert_eq!(key(&[name]), IdempotencyKey::Given(name.to_owned()));
        }
        assert_eq!(key(&[" a\t"]), IdempotencyKey::Given("a".to_owned()));
        let longest: &'static str = "k".repeat(MAX_KEY_LENGTH).leak();
        assert_eq!(key(&[longest]), IdempotencyKey::Given(longest.to_owned()));
        let longer: &'static str = "k".repeat(MAX_KEY_LENGTH + 1).leak();
        for bad in [&[""][..], &["  "], &["a b"], &[longer], &["a", "a"], &["a", "b"]] {
            assert_eq!(key(bad), IdempotencyKey::Malformed, "{bad:?}");
        }
        let foreign = HeaderValue::from_bytes("é".as_bytes()).unwrap();
        assert_eq!(
            IdempotencyKey::read(&[(IDEMPOTENCY_KEY, foreign)].into_iter().collect()),
            IdempotencyKey::Malformed
        );
    }

    #[test]
    fn temporary_failure_is_not_recorded() {
        let reply = |status: u16| {
            Reply::of(hyper::StatusCode::from_u16(status).unwrap(), "application/json", "{}")
        };
        for recorded in [200, 201, 204, 400, 404, 409, 412, 413, 415] {
            assert!(is_final(&reply(recorded)), "{recorded}");
        }
        for passing in [304, 401, 408, 429, 500, 501, 503] {
            assert!(!is_final(&reply(passing)), "{passing}");
        }
        let later = reply(409).with(header::RETRY_AFTER, HeaderValue::from_static("1"));
        assert!(!is_final(&later));
    }
}

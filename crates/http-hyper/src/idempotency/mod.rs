//! `Idempotency-Key`: a repeated POST gets the first response and has no second effect.
//!
//! A success is replayed for a day and a refusal for ten minutes, per organization, credential and
//! route. A request that changes something commits the change and the recorded response in one
//! transaction ([`domain::IdempotencyRecord`]), so a crash, a lost connection or a second router cannot repeat
//! the change. The response of a request that changes nothing is recorded when it is sent.
//!
//! Recorded are 2xx and final refusals. Not recorded are 401, 408, 429, 5xx and every response with
//! `Retry-After`, because the same request may succeed later. Refusals that precede the idempotency
//! check (authentication, permission, request rates) are not recorded either.
//!
//! A response may hold a secret (a new API key). It is encrypted with a key derived from the caller's
//! `Idempotency-Key`, so the database alone cannot reveal the secret.
//!
//! Decision: ADR 0014.

mod kept;
mod once;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    Error, IdempotencyKeyHash, OrganizationId,
    ports::{Environment, IdempotencyStore, Written},
};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

pub(crate) use kept::Kept;
pub(crate) use once::{Once, Request};

use crate::{
    problem::{Problem, Result},
    reply::Reply,
};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST: usize = 255;

/// For how long a refusal is kept: nothing was changed, so that to carry it out again does no harm.
const REFUSAL_KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// How many bytes a refusal may have to be kept. One that names the faults of a large body can be large, and
/// refusals cost their caller nothing.
const LARGEST_REFUSAL: usize = 4096;

/// What a caller calls its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Named {
    /// Nothing: every request is one of its own.
    #[default]
    Not,
    /// This.
    As(String),
    /// Something that cannot be a name.
    Badly,
}

impl Named {
    /// What `Idempotency-Key` says: one value of 1 to 255 visible ASCII characters.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let (Some(value), more) = (values.next(), values.next()) else { return Self::Not };
        match value.to_str().map(|text| text.trim_matches([' ', '\t'])) {
            Ok(name)
                if more.is_none()
                    && (1..=LONGEST).contains(&name.len())
                    && name.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Self::As(name.to_owned())
            }
            _ => Self::Badly,
        }
    }
}

/// Where repeated requests are told from new ones.
pub(crate) struct Desk {
    store: Arc<dyn IdempotencyStore>,
    environment: Arc<dyn Environment>,
    under_way: Mutex<HashSet<(OrganizationId, IdempotencyKeyHash)>>,
}

impl Desk {
    pub(crate) fn new(store: Arc<dyn IdempotencyStore>, environment: Arc<dyn Environment>) -> Self {
        Self { store, environment, under_way: Mutex::default() }
    }

    /// Whatever was answered the first time, or what `work` answers now.
    ///
    /// # Errors
    /// 409 when the same is under way, something else was asked under this name, or there is no room to
    /// record the answer; 503 when nobody can say whether it was; and whatever `work` ends with.
    pub(crate) async fn answer(
        &self,
        once: &Once,
        work: impl Future<Output = Result<Reply>>,
    ) -> Result<Reply> {
        let _place = self.enter(once)?;
        if let Some(reply) = self.look(once).await? {
            return Ok(reply);
        }
        if let Some(full) = self.store.limit_reached(once.scope()).await.map_err(Error::from)? {
            return Err(Error::Full(full).into());
        }
        let outcome = work.await;
        self.settle(once, outcome).await
    }

    /// One request at a time has a slot, on this router. Another router's is noticed when both write.
    fn enter<'a>(&'a self, once: &Once) -> Result<Place<'a>> {
        let name = (once.organization().clone(), once.key_hash());
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.insert(name.clone()) {
            return Ok(Place { desk: self, name });
        }
        Err(Problem::Domain(Error::Conflict {
            message: "a request with this idempotency key is under way",
            retry_after: Some(Duration::from_secs(1)),
        }))
    }

    /// What was answered the first time, if there was one.
    async fn look(&self, once: &Once) -> Result<Option<Reply>> {
        let now = self.environment.now();
        let kept =
            self.store.find(once.scope(), &once.key_hash(), now).await.map_err(Error::from)?;
        let Some(record) = kept else { return Ok(None) };
        let reply = once.open(&record)?;
        Ok(Some(reply.with(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"))))
    }

    /// Keeps how it ended, if that is worth keeping and not kept yet.
    async fn settle(&self, once: &Once, outcome: Result<Reply>) -> Result<Reply> {
        let reply = match &outcome {
            Ok(reply) if once.is_written() => {
                self.amend(once, reply).await;
                return outcome;
            }
            // It is done and kept as it was then, whatever went wrong with telling of it.
            Err(_) if once.is_written() => return outcome,
            Ok(reply) => reply.clone(),
            Err(problem) => problem.reply(),
        };
        let full = matches!(outcome, Err(Problem::Domain(Error::Full(_))));
        if is_for_good(&reply) && !full {
            let (mut record, now) = (once.record(&reply)?, self.environment.now());
            if reply.status.is_client_error() {
                if record.response.len() > LARGEST_REFUSAL {
                    return outcome;
                }
                record.expires_at = now.plus(REFUSAL_KEPT_FOR);
            }
            match self.store.record(once.scope(), &record, now).await.map_err(Error::from)? {
                // There was room a moment ago. What was done may be done again: it changes nothing.
                Written::Done | Written::Refused(_) => return outcome,
                Written::Raced | Written::Repeated => {}
            }
        } else if !reply.status.is_client_error() {
            return outcome;
        }
        // Somebody else was quicker, on another router.
        Ok(match self.look(once).await? {
            Some(first) => first,
            None => outcome?,
        })
    }

    /// What was true when it was written may not be the last word: a logout waits for WhatsApp.
    async fn amend(&self, once: &Once, reply: &Reply) {
        if once.is_kept_as(reply) {
            return;
        }
        let amended = match once.record(reply) {
            Ok(record) => self.store.amend(once.scope(), &record).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = amended {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "what is kept of an answer is an earlier one");
        }
    }
}

/// Whether the same request would be answered so again.
fn is_for_good(reply: &Reply) -> bool {
    let refused = reply.status.is_client_error()
        && !matches!(reply.status.as_u16(), 401 | 408 | 429)
        && !reply.headers.contains_key(header::RETRY_AFTER);
    reply.status.is_success() || refused
}

/// A slot that a request has while it is worked on.
struct Place<'a> {
    desk: &'a Desk,
    name: (OrganizationId, IdempotencyKeyHash),
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.desk.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: &[&'static str]) -> Named {
        let values = values.iter().map(|value| (IDEMPOTENCY_KEY, HeaderValue::from_static(value)));
        Named::read(&values.collect())
    }

    #[test]
    fn a_name_is_one_value_of_visible_characters() {
        assert_eq!(named(&[]), Named::Not);
        for name in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", "~!,;"] {
            assert_eq!(named(&[name]), Named::As(name.to_owned()));
        }
        assert_eq!(named(&[" a\t"]), Named::As("a".to_owned()));
        let longest: &'static str = "k".repeat(LONGEST).leak();
        assert_eq!(named(&[longest]), Named::As(longest.to_owned()));
        let longer: &'static str = "k".repeat(LONGEST + 1).leak();
        for bad in [&[""][..], &["  "], &["a b"], &[longer], &["a", "a"], &["a", "b"]] {
            assert_eq!(named(bad), Named::Badly, "{bad:?}");
        }
        let foreign = HeaderValue::from_bytes("é".as_bytes()).unwrap();
        assert_eq!(Named::read(&[(IDEMPOTENCY_KEY, foreign)].into_iter().collect()), Named::Badly);
    }

    #[test]
    fn what_may_go_better_next_time_is_not_kept() {
        let reply = |status: u16| {
            Reply::of(hyper::StatusCode::from_u16(status).unwrap(), "application/json", "{}")
        };
        for kept in [200, 201, 204, 400, 404, 409, 412, 413, 415] {
            assert!(is_for_good(&reply(kept)), "{kept}");
        }
        for passing in [304, 401, 408, 429, 500, 501, 503] {
            assert!(!is_for_good(&reply(passing)), "{passing}");
        }
        let later = reply(409).with(header::RETRY_AFTER, HeaderValue::from_static("1"));
        assert!(!is_for_good(&later));
    }
}

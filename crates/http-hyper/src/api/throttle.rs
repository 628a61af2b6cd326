//! Request rates of credentials and organizations, exact on each router.
//!
//! Requests are counted by GCRA: a rate of 60 a minute admits 60 at once and then one each second.
//! Counters are kept in memory. Each router counts separately, so that three routers admit three
//! times the rate; a shared counter would cost more than it saves.
//!
//! Decision: ADR 0016.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hash},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use domain::{Actor, BrowserSessionDigest, Caller, Error, RateQuota, Result, UserId};
use governor::{
    RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};
use http_listener::PermitHolder;

/// Requests per minute; `None` for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The rate of one API key, one person or one browser session.
    pub credential: Option<NonZeroU32>,
    /// The rate of all credentials of one organization together.
    pub organization: Option<NonZeroU32>,
}

const RATE_WINDOW: Duration = Duration::from_secs(60);
/// Number of requests after which counters that have refilled are removed.
const CLEANUP_INTERVAL: u32 = 10_000;

/// Counts requests and rejects those above the rates.
pub(crate) struct Throttle<C: Clock = MonotonicClock> {
    limits: Vec<(RateSubject, RateLimit<C>)>,
    /// Hashes names with a key of this process.
    names: RandomState,
    counted: AtomicU32,
}

#[derive(Clone, Copy)]
enum RateSubject {
    Credential,
    Organization,
}

struct RateLimit<C: Clock> {
    quota: RateQuota,
    limiter: RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl Throttle {
    pub(crate) fn new(rates: Rates) -> Self {
        Self::with_clock(rates, &MonotonicClock)
    }
}

impl<C: Clock + Clone> Throttle<C> {
    fn with_clock(rates: Rates, clock: &C) -> Self {
        let limit = |subject, name, count: Option<NonZeroU32>| {
            let count = count?;
            let quota = governor::Quota::per_minute(count);
            let limiter = RateLimiter::dashmap_with_clock(quota, clock.clone());
            let quota = RateQuota { name, count: count.get(), window: RATE_WINDOW };
            Some((subject, RateLimit { quota, limiter, clock: clock.clone() }))
        };
        let limits = [
            limit(RateSubject::Organization, "organization", rates.organization),
            limit(RateSubject::Credential, "credential", rates.credential),
        ];
        Self {
            limits: limits.into_iter().flatten().collect(),
            names: RandomState::new(),
            counted: AtomicU32::new(0),
        }
    }

    /// Counts a request of this caller, and returns the holder of the request's permits. A caller
    /// without organization is a group by itself.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when the request exceeds a rate.
    pub(crate) fn count(&self, caller: &Caller) -> Result<PermitHolder> {
        let organization = caller.organization.as_ref().map(|name| self.names.hash_one(name));
        let credential = self.credential(caller);
        for (subject, limit) in &self.limits {
            let name = match subject {
                RateSubject::Credential => Some(credential),
                RateSubject::Organization => organization,
            };
            let Some(name) = name else { continue };
            if let Err(refusal) = limit.limiter.check_key(&name) {
                let retry_after = refusal.wait_time_from(limit.clock.now());
                return Err(Error::RateLimited { rate_quota: limit.quota, retry_after });
            }
        }
        self.clean_up_sometimes();
        Ok(PermitHolder { group: organization.unwrap_or(credential), member: credential })
    }

    fn credential(&self, caller: &Caller) -> u64 {
        let mut state = self.names.build_hasher();
        caller.organization.hash(&mut state);
        if let Some(BrowserSessionDigest(digest)) = caller.browser_session {
            (5, digest).hash(&mut state);
            return std::hash::Hasher::finish(&state);
        }
        match &caller.actor {
            Actor::Key(key) => (1, key.as_str()).hash(&mut state),
            Actor::User(user) => (2, user.as_ref().map(UserId::as_str)).hash(&mut state),
            Actor::Operator => 3.hash(&mut state),
            Actor::System => 4.hash(&mut state),
            Actor::Link(link) => (5, link.as_str()).hash(&mut state),
        }
        std::hash::Hasher::finish(&state)
    }

    fn clean_up_sometimes(&self) {
        if self.counted.fetch_add(1, Ordering::Relaxed) % CLEANUP_INTERVAL == CLEANUP_INTERVAL - 1 {
            for (_, limit) in &self.limits {
                limit.limiter.retain_recent();
                limit.limiter.shrink_to_fit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Capabilities, KeyId, OrganizationId, Reach};
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn caller(organization: &str, key: u128) -> Caller {
        Caller {
            actor: Actor::Key(KeyId::from_bits(key)),
            organization: OrganizationId::parse(organization),
            capabilities: Capabilities::default(),
            reach: Reach::Everything,
            platform_admin: false,
            expires_at: None,
            browser_session: None,
        }
    }

    fn throttle(
        credential: u32,
        organization: u32,
    ) -> (Throttle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let rates = Rates {
            credential: NonZeroU32::new(credential),
            organization: NonZeroU32::new(organization),
        };
        (Throttle::with_clock(rates, &clock), clock)
    }

    fn refusal(outcome: Result<PermitHolder>) -> (&'static str, Duration) {
        match outcome {
            Err(Error::RateLimited { rate_quota, retry_after }) => (rate_quota.name, retry_after),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rate_is_available_at_once_and_refills_gradually() {
        let (throttle, clock) = throttle(60, 0);
        let mine = caller("acme", 1);
        for _ in 0..60 {
            throttle.count(&mine).unwrap();
        }
        assert_eq!(refusal(throttle.count(&mine)), ("credential", Duration::from_secs(1)));
        throttle.count(&caller("acme", 2)).unwrap();
        clock.advance(Duration::from_millis(1500));
        throttle.count(&mine).unwrap();
        assert_eq!(refusal(throttle.count(&mine)), ("credential", Duration::from_millis(500)));
    }

    #[test]
    fn organization_rate_counts_all_its_credentials_only() {
        let (throttle, _) = throttle(0, 10);
        for n in 0..10 {
            throttle.count(&caller("acme", n)).unwrap();
        }
        assert_eq!(refusal(throttle.count(&caller("acme", 11))).0, "organization");
        throttle.count(&caller("zeta", 1)).unwrap();
        let without_organization = Caller { organization: None, ..caller("acme", 1) };
        for _ in 0..50 {
            throttle.count(&without_organization).unwrap();
        }
    }

    #[test]
    fn requests_without_rates_are_unlimited() {
        let (throttle, _) = throttle(0, 0);
        for _ in 0..10_000 {
            throttle.count(&caller("acme", 1)).unwrap();
        }
    }

    #[test]
    fn refilled_counters_are_removed() {
        let (throttle, clock) = throttle(60, 0);
        for n in 0..u128::from(CLEANUP_INTERVAL) - 1 {
            throttle.count(&caller("acme", n)).unwrap();
        }
        assert_eq!(throttle.limits[0].1.limiter.len(), 9_999);
        clock.advance(RATE_WINDOW * 2);
        throttle.count(&caller("acme", 1)).unwrap();
        assert_eq!(throttle.limits[0].1.limiter.len(), 1);
    }
}

//! Resolves names within permits and a time limit, with a cache.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    lookup::{Answer, Lookup, LookupError, answer},
    lookup_cache::{LookupCache, LookupKey},
    lookup_permits::LookupPermits,
};
use crate::limits::Limits;

pub(super) struct Resolver {
    lookup: Arc<dyn Lookup>,
    permits: LookupPermits,
    cache: Arc<Mutex<LookupCache>>,
    limits: Limits,
}

impl Resolver {
    pub(super) fn new(lookup: Arc<dyn Lookup>, limits: Limits) -> Self {
        let permits = LookupPermits::new(limits.lookups, limits.lookups_per_organization);
        let cache = LookupCache::new(limits.lookup_ttl, limits.lookup_failure_ttl);
        Self { lookup, permits, cache: Arc::new(Mutex::new(cache)), limits }
    }

    /// Returns the addresses of `name` within [`Limits::lookup`]. A lookup that takes longer goes
    /// on with its permits and stores its result.
    pub(super) async fn resolve(&self, organization: &str, name: &str) -> Answer {
        let key = LookupKey { organization: organization.to_owned(), name: name.to_owned() };
        let answer = timeout(self.limits.lookup, self.resolve_without_limit(key)).await;
        answer.unwrap_or(Err(LookupError::TimedOut))
    }

    async fn resolve_without_limit(&self, key: LookupKey) -> Answer {
        if let Some(answer) = self.cached(&key) {
            return answer;
        }
        let permit = self.permits.acquire(&key.organization).await;
        let permit = permit.map_err(|_| LookupError::TimedOut)?;
        // Another lookup of the name may have ended while this one waited.
        if let Some(answer) = self.cached(&key) {
            return answer;
        }
        let (send, receive) = oneshot::channel();
        let (lookup, cache) = (Arc::clone(&self.lookup), Arc::clone(&self.cache));
        // A thread of its own: a runtime waits at shutdown for the threads that it started itself.
        let thread = thread::Builder::new().name("webhook-lookup".to_owned());
        let started = thread.spawn(move || {
            let answer = answer(lookup.addresses(&key.name));
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.insert(key, answer.clone(), Instant::now());
            drop((cache, permit));
            let _ = send.send(answer);
        });
        started.map_err(|error| LookupError::Failed(error.to_string().into()))?;
        let answer = receive.await;
        answer.unwrap_or_else(|_| Err(LookupError::Failed("the lookup panicked".into())))
    }

    fn cached(&self, key: &LookupKey) -> Option<Answer> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(key, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::SocketAddr,
        sync::{
            Condvar,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;
    use crate::connect::lookup::MAX_ADDRESSES;

    /// Blocks the lookups of `slow` until the name server answers; counts all lookups.
    #[derive(Default)]
    struct NameServer {
        lookups: AtomicUsize,
        answers: Mutex<bool>,
        changed: Condvar,
    }

    impl NameServer {
        fn answer(&self) {
            *self.answers.lock().unwrap() = true;
            self.changed.notify_all();
        }
    }

    struct Fake(Arc<NameServer>);

    impl Lookup for Fake {
        fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
            self.0.lookups.fetch_add(1, Ordering::SeqCst);
            let address = SocketAddr::from(([8, 8, 8, 8], 0));
            match name {
                "slow" => {
                    let answers = self.0.answers.lock().unwrap();
                    drop(self.0.changed.wait_while(answers, |answers| !*answers).unwrap());
                    Ok(vec![address])
                }
                "empty" => Ok(Vec::new()),
                "huge" => Ok(vec![address; MAX_ADDRESSES + 1]),
                "missing" => Err(io::Error::other("no such name")),
                "panic" => panic!("the lookup fails"),
                _ => Ok(vec![address]),
            }
        }
    }

    fn resolver(limits: Limits) -> (Resolver, Arc<NameServer>) {
        let server = Arc::new(NameServer::default());
        (Resolver::new(Arc::new(Fake(Arc::clone(&server))), limits), server)
    }

    #[tokio::test]
    async fn answers_and_failures_are_cached() {
        let (resolver, server) = resolver(Limits::default());
        for _ in 0..3 {
            assert_eq!(resolver.resolve("a", "name").await.unwrap().len(), 1);
            let missing = resolver.resolve("a", "missing").await;
            assert_eq!(missing, Err(LookupError::Failed("no such name".into())));
            assert_eq!(resolver.resolve("a", "empty").await, Err(LookupError::NoAddress));
            assert_eq!(resolver.resolve("a", "huge").await, Err(LookupError::TooManyAddresses));
        }
        assert_eq!(server.lookups.load(Ordering::SeqCst), 4);
        let panicked = resolver.resolve("a", "panic").await;
        assert_eq!(panicked, Err(LookupError::Failed("the lookup panicked".into())));
    }

    #[tokio::test]
    async fn slow_name_server_costs_its_own_organization() {
        let lookup = Duration::from_millis(200);
        let (resolver, server) = resolver(Limits { lookup, ..Limits::default() });
        for _ in 0..3 {
            assert_eq!(resolver.resolve("a", "slow").await, Err(LookupError::TimedOut));
        }
        // The third waited for a permit in vain.
        assert_eq!(server.lookups.load(Ordering::SeqCst), 2);
        assert_eq!(resolver.resolve("a", "name").await, Err(LookupError::TimedOut));
        assert!(resolver.resolve("b", "name").await.is_ok());
        server.answer();
        while resolver.resolve("a", "name").await.is_err() {}
        assert!(resolver.resolve("a", "slow").await.is_ok());
        assert_eq!(server.lookups.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn concurrent_lookups_of_one_name_are_few() {
        let (resolver, server) = resolver(Limits::default());
        let answers = (0..50).map(|_| resolver.resolve("a", "name"));
        let answers = futures_util::future::join_all(answers).await;
        assert!(answers.iter().all(Result::is_ok));
        assert!(server.lookups.load(Ordering::SeqCst) <= 2);
    }
}

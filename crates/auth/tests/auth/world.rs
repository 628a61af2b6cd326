//! What surrounds the door: a clock that moves when told, and a directory of keys that remembers
//! what it was told and can fail.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use auth::{Chain, Config, JwtVerifier, Source};
use domain::{
    ApiKey, Caller, KeyId, Timestamp,
    ports::{Authenticator, Credential, Environment, KeyDirectory, PortError, PortResult, Refused},
};
use serde_json::{Value, json};

/// When every test begins, in seconds.
pub(crate) const NOW: i64 = 1_700_000_000;

pub(crate) struct Clock(AtomicI64);

impl Default for Clock {
    fn default() -> Self {
        Self(AtomicI64::new(NOW * 1000))
    }
}

impl Clock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), SeqCst);
    }
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(SeqCst))
    }

    fn ulid(&self) -> u128 {
        7
    }
}

#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) keys: Mutex<HashMap<KeyId, ApiKey>>,
    pub(crate) looked_up: Mutex<Vec<KeyId>>,
    pub(crate) used: Mutex<Vec<(KeyId, Timestamp)>>,
    pub(crate) down: AtomicBool,
}

#[async_trait]
impl KeyDirectory for Directory {
    async fn find(&self, id: &KeyId) -> PortResult<Option<ApiKey>> {
        if self.down.load(SeqCst) {
            return Err(PortError::Unavailable("no database".into()));
        }
        self.looked_up.lock().unwrap().push(id.clone());
        Ok(self.keys.lock().unwrap().get(id).cloned())
    }

    async fn used(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.used.lock().unwrap().push((id.clone(), at));
        Ok(())
    }
}

/// A door, and everything around it.
pub(crate) struct World {
    pub(crate) clock: Arc<Clock>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) jwt: Option<Arc<JwtVerifier>>,
    pub(crate) chain: Chain,
}

impl World {
    /// With this configuration.
    pub(crate) async fn new(config: Config) -> Self {
        let (clock, directory) = (Arc::new(Clock::default()), Arc::new(Directory::default()));
        let jwt = JwtVerifier::start(config, clock.clone()).await.unwrap();
        let chain = Chain::new(jwt.clone(), directory.clone(), clock.clone());
        Self { clock, directory, jwt, chain }
    }

    /// With these keys, given inline.
    pub(crate) async fn with_keys(keys: &[Value]) -> Self {
        Self::new(inline(keys)).await
    }

    pub(crate) async fn bearer(&self, token: &str) -> Result<Caller, Refused> {
        self.chain.authenticate(&Credential::Bearer(token.to_owned())).await
    }

    pub(crate) async fn api_key(&self, key: &str) -> Result<Caller, Refused> {
        self.chain.authenticate(&Credential::ApiKey(key.to_owned())).await
    }
}

pub(crate) fn inline(keys: &[Value]) -> Config {
    let jwks = Source::parse(&json!({ "keys": keys }).to_string(), false).unwrap();
    Config { jwks: Some(jwks), ..Config::default() }
}

/// The cause in the log of a refusal, which must be *denied*.
#[track_caller]
pub(crate) fn denied(answer: Result<Caller, Refused>) -> &'static str {
    match answer {
        Err(Refused::Denied(cause)) => cause,
        other => panic!("not denied: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn unavailable(answer: Result<Caller, Refused>) {
    match answer {
        Err(Refused::Unavailable(_)) => {}
        other => panic!("not unavailable: {other:?}"),
    }
}

/// Waits for a state, not for a while: the deadline only ends a test that has failed.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let reached = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), reached).await.is_ok(), "never: {what}");
}

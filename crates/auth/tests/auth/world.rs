//! The test environment: the domain's test clock and memory store, and a directory that records its
//! calls.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use auth::{Chain, Config, JwtVerifier, Source};
use domain::{
    ApiKey, Caller, KeyId, Timestamp,
    ports::{Authenticator, Credential, KeyDirectory, PortResult, PresentedKey, Refused},
    testing::{Memory, TestEnvironment},
};
use serde_json::{Value, json};

/// The start time of the test clock, in seconds since the epoch.
pub(crate) const NOW: i64 = 1_767_254_400;

#[derive(Default)]
pub(crate) struct RecordingDirectory {
    pub(crate) memory: Memory,
    pub(crate) lookups: Mutex<Vec<KeyId>>,
    pub(crate) record_use: Mutex<Vec<(KeyId, Timestamp)>>,
}

#[async_trait]
impl KeyDirectory for RecordingDirectory {
    async fn find(&self, shown: &PresentedKey, now: Timestamp) -> PortResult<Option<ApiKey>> {
        self.lookups.lock().unwrap().push(shown.id.clone());
        KeyDirectory::find(&self.memory, shown, now).await
    }

    async fn record_use(&self, id: &KeyId, at: Timestamp) -> PortResult<()> {
        self.record_use.lock().unwrap().push((id.clone(), at));
        self.memory.record_use(id, at).await
    }
}

/// An authenticator with its dependencies.
pub(crate) struct World {
    pub(crate) clock: Arc<TestEnvironment>,
    pub(crate) directory: Arc<RecordingDirectory>,
    pub(crate) jwt: Option<Arc<JwtVerifier>>,
    pub(crate) chain: Chain,
}

impl World {
    pub(crate) async fn new(config: Config) -> Self {
        let (clock, directory) = (TestEnvironment::new(), Arc::new(RecordingDirectory::default()));
        let jwt = JwtVerifier::start(config, clock.clone()).await.unwrap();
        let chain = Chain::new(jwt.clone(), directory.clone(), clock.clone());
        Self { clock, directory, jwt, chain }
    }

    /// Creates an authenticator with an inline key set.
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

/// Returns the logged cause of a refusal. Panics if the result is not *denied*.
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

/// Waits until `state` returns true. The deadline only ends a test that has failed.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let reached = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), reached).await.is_ok(),
        "not reached: {what}"
    );
}

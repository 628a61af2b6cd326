//! Readiness: the database answers and accepts writes.
//!
//! The key set is shown and does not count: API keys work without the issuer, and a router out of
//! service could serve neither API keys nor login tokens. Gateways do not count: a router without
//! gateways answers most of the API, and a router out of service could not register them again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth::JwtVerifier;
use domain::ports::Environment;
use http_hyper::{Check, Readiness};
use store_diesel::Database;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// The maximum time for an answer of the database.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time in which a check reuses the result of the last test write, so that frequent checks
/// write rarely. Every check reads from the database.
const WRITE_TTL: Duration = Duration::from_secs(1);

/// The parts of the router that readiness depends on.
pub(crate) struct RouterReadiness {
    pub(crate) database: Database,
    /// `None` when no key set is configured.
    pub(crate) login: Option<Arc<JwtVerifier>>,
    /// Cancelled when the process is told to stop.
    pub(crate) shutting_down: CancellationToken,
    pub(crate) environment: Arc<dyn Environment>,
    /// The time and result of the last test write. Locked during a test write, so that concurrent
    /// checks share its result.
    pub(crate) last_write: Mutex<Option<(Instant, bool)>>,
}

impl RouterReadiness {
    /// Returns true if the database accepts writes. A database that only answers reads (full disk,
    /// standby) is not ready.
    async fn accepts_writes(&self) -> bool {
        let mut last_write = self.last_write.lock().await;
        if let Some((at, ready)) = *last_write
            && at.elapsed() < WRITE_TTL
        {
            return ready
                && matches!(timeout(DATABASE_TIMEOUT, self.database.clock()).await, Ok(Ok(_)));
        }
        let answered = timeout(DATABASE_TIMEOUT, self.database.ping(self.environment.now())).await;
        let ready = matches!(answered, Ok(Ok(())));
        *last_write = Some((Instant::now(), ready));
        ready
    }
}

#[async_trait]
impl Readiness for RouterReadiness {
    async fn checks(&self) -> Vec<Check> {
        vec![
            Check { name: "serving", ready: !self.shutting_down.is_cancelled() },
            Check { name: "database", ready: self.accepts_writes().await },
        ]
    }

    fn informational(&self) -> Vec<Check> {
        let key_set = |login: &Arc<JwtVerifier>| Check { name: "key_set", ready: login.is_ready() };
        self.login.iter().map(key_set).collect()
    }
}

//! When to send requests here: the database answers and takes writes.
//!
//! Whether login tokens can be verified is shown and does not count: API keys work without the issuer,
//! and a router that is taken out of service for it serves neither. Gateways do not count. A router
//! whose gateways are away still answers most of the API, and one taken out of service for it would
//! leave nobody to take the gateways back in.

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

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long a write is believed: however often it is asked, little is written. Whether the database
/// answers at all is asked each time.
const BELIEVED: Duration = Duration::from_secs(1);

/// What the router needs to do its work.
pub(crate) struct Needs {
    pub(crate) database: Database,
    /// `None` when login tokens are not taken at all.
    pub(crate) login: Option<Arc<JwtVerifier>>,
    /// Told to end.
    pub(crate) ending: CancellationToken,
    pub(crate) environment: Arc<dyn Environment>,
    /// Whether the database took a write, and when. Held by whoever looks: others wait for the outcome.
    pub(crate) looked: Mutex<Option<(Instant, bool)>>,
}

impl Needs {
    /// A database that answers and takes no writes (its disk is full, it is a standby) is of no use.
    async fn takes_writes(&self) -> bool {
        let mut looked = self.looked.lock().await;
        if let Some((at, ready)) = *looked
            && at.elapsed() < BELIEVED
        {
            return ready && matches!(timeout(PATIENCE, self.database.clock()).await, Ok(Ok(_)));
        }
        let answered = timeout(PATIENCE, self.database.ping(self.environment.now())).await;
        let ready = matches!(answered, Ok(Ok(())));
        *looked = Some((Instant::now(), ready));
        ready
    }
}

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<Check> {
        vec![
            Check { name: "serving", ready: !self.ending.is_cancelled() },
            Check { name: "database", ready: self.takes_writes().await },
        ]
    }

    fn informational(&self) -> Vec<Check> {
        let key_set = |login: &Arc<JwtVerifier>| Check { name: "key_set", ready: login.is_ready() };
        self.login.iter().map(key_set).collect()
    }
}

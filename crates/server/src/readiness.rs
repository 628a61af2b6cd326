//! When to send requests here: the database answers.
//!
//! Whether login tokens can be verified is shown and does not count: API keys work without the issuer,
//! and a router that is taken out of service for it serves neither. Gateways do not count. A router whose gateways are away still answers most of the API, and one
//! taken out of service for it would leave nobody to take the gateways back in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use auth::JwtVerifier;
use http_hyper::{Check, Readiness};
use store_diesel::Database;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the router needs to do its work.
pub(crate) struct Needs {
    pub(crate) database: Database,
    /// `None` when login tokens are not taken at all.
    pub(crate) login: Option<Arc<JwtVerifier>>,
    /// Told to end.
    pub(crate) ending: CancellationToken,
}

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<Check> {
        let answered = timeout(PATIENCE, self.database.ping()).await;
        vec![
            Check { name: "serving", ready: !self.ending.is_cancelled() },
            Check { name: "database", ready: matches!(answered, Ok(Ok(()))) },
        ]
    }

    fn informational(&self) -> Vec<Check> {
        let key_set = |login: &Arc<JwtVerifier>| Check { name: "key_set", ready: login.is_ready() };
        self.login.iter().map(key_set).collect()
    }
}

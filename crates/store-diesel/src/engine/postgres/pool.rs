//! Creates pools of PostgreSQL connections that check a connection before its reuse.

use std::sync::Arc;

use deadpool::{
    Runtime,
    managed::{Hook, HookError, Timeouts},
};
use diesel_async::{
    AsyncPgConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool,
    },
};

use crate::{
    Config, StoreError,
    engine::postgres::{
        health::{Health, PING_TIMEOUT, is_alive},
        server::PostgresServer,
    },
};

/// Creates a pool of at most `size` connections to the server.
pub(crate) fn connections(
    server: PostgresServer,
    size: u32,
    config: &Config,
    health: Arc<Health>,
) -> Result<Pool<AsyncPgConnection>, StoreError> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup = Box::new(move |_| {
        let server = server.clone();
        Box::pin(async move { server.open().await })
    });
    let manager = AsyncDieselConnectionManager::new_with_config("", manager);
    Pool::builder(manager)
        .max_size(size.max(1) as usize)
        .timeouts(Timeouts {
            wait: Some(config.acquire_timeout),
            create: Some(config.connect_timeout),
            recycle: Some(PING_TIMEOUT),
        })
        // After an outage of the server, dead connections must not fail a request. A connection
        // that was idle for long, or was last used before another connection was found dead, is
        // pinged first and replaced if it does not answer.
        .pre_recycle(Hook::async_fn(move |conn: &mut AsyncPgConnection, metrics| {
            let in_service = health.is_in_service(metrics.created);
            let trusted = health.is_trusted(metrics.last_used());
            Box::pin(async move {
                if in_service && (trusted || is_alive(conn).await) {
                    Ok(())
                } else {
                    Err(HookError::message("the connection is dead"))
                }
            })
        }))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(error.into()))
}

//! Takes a connection out of a pool and maps the pool's errors.

use std::time::Instant;

use deadpool::managed::{Object, PoolError, TimeoutType};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};

use crate::StoreError;

/// Takes a connection out of a pool, and records the wait.
///
/// # Errors
/// [`StoreError::Unavailable`] when no connection is free or opens in time.
pub(crate) async fn checkout<C>(
    pool: &Pool<C>,
) -> Result<Object<AsyncDieselConnectionManager<C>>, StoreError>
where
    AsyncDieselConnectionManager<C>:
        deadpool::managed::Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    let began = Instant::now();
    let object = pool.get().await;
    metrics::histogram!("berth_store_wait_seconds", "resource" => "connection")
        .record(began.elapsed());
    object.map_err(|error| {
        StoreError::Unavailable(match error {
            PoolError::Timeout(TimeoutType::Wait) => "no connection was free in time".into(),
            PoolError::Timeout(_) => "no connection could be opened in time".into(),
            error => error.into(),
        })
    })
}

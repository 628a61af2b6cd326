//! Takes a connection out of a pool and maps the pool's errors.

use deadpool::managed::{Object, PoolError, TimeoutType};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, deadpool::Pool};

use crate::StoreError;

pub(crate) async fn checkout<C>(
    pool: &Pool<C>,
) -> Result<Object<AsyncDieselConnectionManager<C>>, StoreError>
where
    AsyncDieselConnectionManager<C>:
        deadpool::managed::Manager<Type = C, Error = diesel_async::pooled_connection::PoolError>,
{
    pool.get().await.map_err(|error| {
        StoreError::Unavailable(match error {
            PoolError::Timeout(TimeoutType::Wait) => "no connection became free in time".into(),
            PoolError::Timeout(_) => "no connection could be opened in time".into(),
            error => error.into(),
        })
    })
}

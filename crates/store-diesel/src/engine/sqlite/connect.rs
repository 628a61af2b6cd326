//! Connections to SQLite: one that writes, several that read, and the file they share.

use std::{path::Path, time::Duration};

use deadpool::{Runtime, managed::Timeouts};
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{
    AsyncConnection, SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool::Pool,
    },
    sync_connection_wrapper::{SpawnBlocking, SyncConnectionWrapper},
};

use crate::{Config, StoreError};

pub(crate) type SqliteConnection = SyncConnectionWrapper<diesel::SqliteConnection>;

/// How long to wait for another process's lock. First of all: what follows it may need the lock.
pub(crate) const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 2000;";

/// An answer that was given must survive a power cut, hence FULL.
/// After a burst the log beside the file is cut to 16 MB; it would keep its greatest length for good.
pub(crate) const WRITER_PRAGMAS: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA journal_size_limit = 16777216;";

const READER_PRAGMAS: &str = "PRAGMA query_only = ON;";

/// Of a connection that is used where others have to wait for it. Readers wait for a writer only while
/// another process opens the file.
const INLINE_READER_PRAGMAS: &str = "PRAGMA busy_timeout = 200; PRAGMA query_only = ON;";

/// How often switching the journal is tried: while two processes do it at once, SQLite refuses one
/// of them without waiting.
const JOURNAL_TRIES: u32 = 100;

/// Makes the file, its folder and its journal, and opens it for whatever may take long.
pub(crate) async fn create(file: &Path) -> Result<SqliteConnection, StoreError> {
    if let Some(folder) = file.parent() {
        create_folder(folder)
            .map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
    }
    create_file(file).map_err(|error| StoreError::Unavailable(error.into()))?;
    let mut conn =
        open(file.to_string_lossy().into_owned(), "PRAGMA busy_timeout = 30000;", WRITER_PRAGMAS)
            .await
            .map_err(|error| StoreError::Unavailable(error.into()))?;
    for attempt in 1.. {
        match conn.batch_execute("PRAGMA journal_mode = WAL;").await.map_err(StoreError::from) {
            Ok(()) => break,
            Err(StoreError::Unavailable(_)) if attempt < JOURNAL_TRIES => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(conn)
}

/// Nobody else on the machine needs to look into it.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Nor into the file, should it be in a folder that others can read. SQLite gives the files it makes
/// beside it the same permissions.
fn create_file(file: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

pub(crate) fn readers(file: &Path, config: &Config) -> Result<Pool<SqliteConnection>, StoreError> {
    let mut manager = ManagerConfig::default();
    manager.recycling_method = RecyclingMethod::Fast;
    manager.custom_setup =
        Box::new(|file| Box::pin(open(file.to_owned(), BUSY_TIMEOUT, READER_PRAGMAS)));
    let manager = AsyncDieselConnectionManager::new_with_config(file.to_string_lossy(), manager);
    Pool::builder(manager)
        .max_size(config.max_connections.saturating_sub(1).max(1) as usize)
        .timeouts(Timeouts {
            wait: Some(config.acquire_timeout),
            create: Some(config.connect_timeout),
            recycle: Some(config.connect_timeout),
        })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| StoreError::Unavailable(error.into()))
}

/// A connection that looks up where it is asked.
pub(crate) fn open_inline_reader(file: &Path) -> ConnectionResult<diesel::SqliteConnection> {
    use diesel::{Connection as _, connection::SimpleConnection as _};
    let mut conn = diesel::SqliteConnection::establish(&file.to_string_lossy())?;
    conn.batch_execute(INLINE_READER_PRAGMAS)
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

pub(crate) async fn open<S: SpawnBlocking + Send>(
    file: String,
    busy_timeout: &'static str,
    pragmas: &'static str,
) -> ConnectionResult<SyncConnectionWrapper<diesel::SqliteConnection, S>> {
    let mut conn = SyncConnectionWrapper::establish(&file).await?;
    conn.batch_execute(&format!("{busy_timeout} {pragmas}"))
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

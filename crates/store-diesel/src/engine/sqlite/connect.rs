//! Creates the SQLite file and opens connections: one that writes and several that read.

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

/// Maximum wait for another process's lock: 2 s. Must be the first pragma, because the following
/// ones may need the lock.
pub(crate) const BUSY_TIMEOUT: &str = "PRAGMA busy_timeout = 2000;";

/// `FULL`, because an acknowledged write must survive a power failure. The write-ahead log is
/// truncated to 16 MiB after a burst; by default the log keeps its maximum size.
pub(crate) const WRITER_PRAGMAS: &str = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
    PRAGMA journal_size_limit = 16777216;";

/// For the writer. Each write has a savepoint, for which SQLite copies every page before its change. By default the
/// copies go to a temporary file (<https://www.sqlite.org/tempfiles.html>), which costs as much as the rest of the
/// write and needs a folder that can be written. Migrations keep the default, because they sort whole tables.
pub(crate) const SAVEPOINTS_IN_MEMORY: &str = "PRAGMA temp_store = MEMORY;";

const READER_PRAGMAS: &str = "PRAGMA query_only = ON;";

/// For connections that block the thread of a request. Readers wait for a writer only while another
/// process opens the file, hence 200 ms.
const INLINE_READER_PRAGMAS: &str = "PRAGMA busy_timeout = 200; PRAGMA query_only = ON;";

/// Number of attempts to set the journal mode, 20 ms apart: while two processes do so at once,
/// SQLite rejects one of them without waiting.
const JOURNAL_TRIES: u32 = 100;

/// Creates the file, its folder and its journal, and returns a connection with a lock time-out of
/// 30 s for migrations.
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

/// Creates the folder with access for its owner only.
fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Creates the file with access for its owner only, in case the folder is readable for others.
/// SQLite gives the files beside the database the same permissions.
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

/// Opens a blocking, read-only connection.
pub(crate) fn open_inline_reader(file: &Path) -> ConnectionResult<diesel::SqliteConnection> {
    use diesel::{Connection as _, connection::SimpleConnection as _};
    let mut conn = diesel::SqliteConnection::establish(&file.to_string_lossy())?;
    conn.batch_execute(INLINE_READER_PRAGMAS)
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

pub(crate) async fn open<S: SpawnBlocking + Send>(
    file: String,
    busy_timeout: &str,
    pragmas: &str,
) -> ConnectionResult<SyncConnectionWrapper<diesel::SqliteConnection, S>> {
    let mut conn = SyncConnectionWrapper::establish(&file).await?;
    conn.batch_execute(&format!("{busy_timeout} {pragmas}"))
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

//! Ends the leases of a killed process when this process is the only one that serves an SQLite
//! database. On PostgreSQL, other routers may hold them.
//!
//! Decision: ADR 0044.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use anyhow::{Context as _, Result};
use domain::ports::Environment;
use store_diesel::Database;
use tokio::task::spawn_blocking;

/// The suffix of the lock file of a database.
const SUFFIX: &str = "-server.lock";

/// A lock that every process holds that serves an SQLite database. The system ends it with the
/// process.
pub(crate) struct ServerLock {
    _file: Option<File>,
}

/// Locks the database, and ends all leases if no other process holds the lock. Nobody claims a
/// lease before this returns: another process waits for its lock until the leases are ended.
///
/// # Errors
/// When the lock file cannot be opened, or the database does not answer.
pub(crate) async fn lock(
    database: &Database,
    environment: &impl Environment,
) -> Result<ServerLock> {
    let Some(path) = database.file() else { return Ok(ServerLock { _file: None }) };
    let mut name = path.as_os_str().to_owned();
    name.push(SUFFIX);
    let path = Path::new(&name);
    let file = open(path).with_context(|| format!("the lock file {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {
            let ended = database.end_webhook_leases(environment.now()).await?;
            if ended > 0 {
                tracing::info!(webhooks = ended, "ended the leases of a process that was killed");
            }
            file.unlock()?;
        }
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let file = spawn_blocking(move || file.lock_shared().map(|()| file)).await??;
    Ok(ServerLock { _file: Some(file) })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

//! Copies of SQLite databases that other processes use.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{archive::with_suffix, error::BackupError};

/// Time limit for locks of other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts to change the journal mode, and the pause between them.
const SETTLE_TRIES: u32 = 100;
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// Copies a database to a new file, which only its owner can read: one state, without deleted rows.
/// Other processes may read and write meanwhile.
///
/// # Errors
/// When the source does not exist or cannot be read, and when the target exists.
pub fn copy(source: &Path, target: &Path) -> Result<(), BackupError> {
    let connection = open(source)?;
    // SQLite accepts an existing empty file, and would create the file readable by others.
    let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(target);
    created.map_err(BackupError::io(target))?;
    let copied = connection.execute("VACUUM INTO ?1", [target.to_string_lossy()]);
    copied.map_err(BackupError::database(source))?;
    let copy = fs::File::open(target).map_err(BackupError::io(target))?;
    copy.sync_all().map_err(BackupError::io(target))
}

/// Returns the number of the layout (`user_version`).
///
/// # Errors
/// When the file cannot be read.
pub fn layout(file: &Path) -> Result<i64, BackupError> {
    let version = open(file)?.pragma_query_value(None, "user_version", |row| row.get(0));
    version.map_err(BackupError::database(file))
}

/// Returns the number of rows of the table `sessions`.
///
/// # Errors
/// When the file cannot be read.
pub fn count_sessions(file: &Path) -> Result<u64, BackupError> {
    let count =
        open(file)?.query_row("SELECT count(*) FROM sessions", [], |row| row.get::<_, i64>(0));
    count.map(|count| count.try_into().unwrap_or_default()).map_err(BackupError::database(file))
}

/// Checks the pages and indexes of a database.
///
/// # Errors
/// [`BackupError::Damaged`] with the first finding.
pub fn check(file: &Path) -> Result<(), BackupError> {
    let finding: Result<String, _> =
        open(file)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match finding.map_err(BackupError::database(file))? {
        ok if ok == "ok" => Ok(()),
        finding => Err(BackupError::Damaged { path: file.to_owned(), finding }),
    }
}

/// Moves the write-ahead log into the file, after every other connection is closed, so that the file
/// alone is the database and can be renamed.
///
/// # Errors
/// When another connection stays open.
pub fn settle(file: &Path) -> Result<(), BackupError> {
    let connection = open(file)?;
    for attempt in 1.. {
        let mode: Result<String, _> =
            connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0));
        match mode {
            Ok(mode) if mode == "delete" => break,
            // Connections of this process may still be closing.
            Ok(_) if attempt < SETTLE_TRIES => std::thread::sleep(SETTLE_PAUSE),
            Err(error) if attempt < SETTLE_TRIES && is_locked(&error) => {
                std::thread::sleep(SETTLE_PAUSE);
            }
            Ok(mode) => {
                let finding =
                    format!("its journal mode stays {mode}: another process uses the file");
                return Err(BackupError::Damaged { path: file.to_owned(), finding });
            }
            Err(error) => return Err(BackupError::database(file)(error)),
        }
    }
    drop(connection);
    let synced = fs::File::open(file).and_then(|file| file.sync_all());
    synced.map_err(BackupError::io(file))
}

/// Removes a database with its write-ahead log. Missing files are no error.
pub fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(with_suffix(file, suffix));
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

fn open(file: &Path) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags);
    let connection = connection.map_err(BackupError::database(file))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(BackupError::database(file))?;
    Ok(connection)
}

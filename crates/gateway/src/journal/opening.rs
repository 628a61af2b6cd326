//! Opens the journal file.

use std::{fs, path::Path};

use super::rows;
use crate::sqlite::Database;

/// Opens the file. A file that is no database any more is moved aside: its items are lost, but the
/// sessions can work.
pub(super) fn open_or_replace(file: &Path) -> anyhow::Result<Database> {
    let error = match Database::open(file, rows::LAYOUT) {
        Ok(database) => return Ok(database),
        Err(error) if is_damage(&error) => error,
        Err(error) => return Err(error.context(format!("the journal {}", file.display()))),
    };
    let aside = file.with_extension(format!("damaged-{}", wacore::time::now_millis()));
    tracing::error!(
        file = %file.display(),
        aside = %aside.display(),
        error = format!("{error:#}"),
        "the journal is damaged; messages that the router has not stored are lost unless this file \
         is repaired"
    );
    fs::rename(file, aside)?;
    for log in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(file.with_extension(log)); // usually absent
    }
    Database::open(file, rows::LAYOUT)
}

fn is_damage(error: &anyhow::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<rusqlite::Error>())
        .any(|cause| matches!(cause.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)))
}

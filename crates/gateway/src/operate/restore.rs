//! `berth-gateway restore`: creates a data folder from a back-up, and prepares its sessions to go on.
//!
//! Decision: ADR 0060.

use std::{collections::BTreeMap, path::Path};

use backup::{Archive, Manifest, NewFolder, sqlite};
use rusqlite::Connection;
use serde_json::json;

use super::back_up::{PROGRAM, file_key};
use crate::{
    command_line::{DataFolderFlags, RestoreFlags},
    data_folder::RESTORED_FILE,
    journal,
    keys::{self, restored::forget_message_keys},
};

/// A session of a restored folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredSession {
    /// Id of the session.
    pub name: String,
    /// Whether the keys link a device. A session without a device must be linked anew.
    pub linked: bool,
}

/// Restores a back-up. Returns its manifest and its sessions.
///
/// # Errors
/// Fails, and changes nothing, without the key of the back-up; when the folder has files; when the
/// file is no back-up of a node, is cut, or was altered; and when a newer program wrote the file.
pub fn run(flags: &RestoreFlags) -> anyhow::Result<(Manifest, Vec<RestoredSession>)> {
    let RestoreFlags { from, place: DataFolderFlags { data, backup_key } } = flags;
    let key = file_key(backup_key.as_ref())?;
    let archive = Archive::open(from)?;
    archive.manifest().expect_program(PROGRAM)?;
    let layouts = [(keys::FILE_NAME, keys::LAYOUT), (journal::FILE_NAME, journal::LAYOUT)];
    for (name, layout) in layouts {
        archive.manifest().expect_layout(name, &layout.version.to_string())?;
    }
    let folder = NewFolder::create(data)?;
    let unfinished = folder.unfinished();
    let manifest = archive.extract(&key, &unfinished)?;
    for (name, _) in layouts {
        sqlite::check(&unfinished.join(name))?;
    }
    let sessions = forget_message_keys(&unfinished.join(keys::FILE_NAME))?;
    rename_journal(&unfinished.join(journal::FILE_NAME))?;
    write_mark(&unfinished.join(RESTORED_FILE), &manifest)?;
    for (name, _) in layouts {
        sqlite::settle(&unfinished.join(name))?;
    }
    // A node that starts on half of the files must not find keys without their journal.
    folder.finish(&[journal::FILE_NAME, RESTORED_FILE, keys::FILE_NAME])?;
    Ok((manifest, sessions))
}

/// Gives the journal a new name. The router has taken later items under the old one, and would take
/// new items with their numbers for repetitions.
fn rename_journal(file: &Path) -> anyhow::Result<()> {
    let connection = Connection::open(file)?;
    let name = format!("{:032x}", rand::random::<u128>());
    connection.execute("UPDATE journal SET name = ?1", [name])?;
    Ok(())
}

fn write_mark(file: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let mark: BTreeMap<_, _> = [
        ("copiedAt", json!(manifest.created_at)),
        ("restoredAt", json!(wacore::time::now_millis())),
        ("sessions", json!(manifest.sessions)),
    ]
    .into();
    std::fs::write(file, serde_json::to_vec(&mark)?)?;
    Ok(())
}

//! The device keys of all sessions of a node, in one SQLite file.
//!
//! Decision: ADR 0019.

mod app_sync;
mod device;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod operations;
mod protocol;
pub(crate) mod restored;
mod rows;
mod session_keys;
mod signal;

use std::{fs, io, path::Path, sync::Arc};

use anyhow::bail;
use gateway_protocol::Identity;
use wacore::store::{InMemoryBackend, error::StoreError, traits::Backend};
use whatsapp_rust::store::Device;

use self::session_keys::SessionKeys;
use crate::{
    data_folder::create_private_folder,
    session_name::SessionName,
    sqlite::{Database, Layout, is_file_error},
};

/// The name of the file in the data folder.
pub(crate) const FILE_NAME: &str = "keys.db";
/// Session numbers are never reused, and each row references its session. A late write for a wiped
/// session fails instead of restoring rows.
pub(crate) const LAYOUT: Layout = Layout {
    name: "keys",
    version: 1,
    schema: "
        CREATE TABLE sessions (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE
        ) STRICT;
        CREATE TABLE entries (
            session INTEGER NOT NULL REFERENCES sessions (number) ON DELETE CASCADE,
            kind INTEGER NOT NULL,
            key BLOB NOT NULL,
            value BLOB NOT NULL,
            also BLOB,
            rank INTEGER,
            PRIMARY KEY (session, kind, key)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX entries_also ON entries (session, kind, also) WHERE also IS NOT NULL;
        CREATE INDEX entries_rank ON entries (session, kind, rank) WHERE rank IS NOT NULL;
    ",
};

/// The device keys of all sessions.
pub(crate) struct KeyStore {
    storage: Storage,
}

enum Storage {
    File(Arc<Database>),
    /// Keeps keys for the time of their connection: the reference of measurements.
    Memory,
    /// The file cannot be read, for this reason. The reason is reported for every session, and no
    /// new file is created.
    Unreadable(String),
}

/// Is told of what the engine learns about people.
pub(crate) trait NewMappings: Send + Sync {
    /// Takes mappings that are new or changed: the user parts of a LID and of a phone number.
    fn on_new_mappings(&self, mappings: Vec<(String, String)>);
}

/// The link state that follows from the keys of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeysState {
    /// The keys link a device.
    Linked(Identity),
    /// The keys link no device.
    NotLinked,
    /// The file has no entry for the session: it was never created here, or it is lost.
    Missing,
}

impl KeyStore {
    /// Opens the file, and creates it if it does not exist. Blocks.
    ///
    /// # Errors
    /// Fails when a newer program wrote the file, and when the folder has keys in the old layout:
    /// ignoring them would leave linked devices that berth does not know. A damaged or unreadable
    /// file is not an error here, because a running node can report the fault for each of its
    /// sessions.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        create_private_folder(data)?;
        reject_old_layout(&data.join("sessions"))?;
        let file = data.join(FILE_NAME);
        let storage = match Database::open(&file, LAYOUT) {
            Ok(database) => Storage::File(Arc::new(database)),
            Err(error) if is_file_error(&error) => {
                let (file, error) = (file.display(), format!("{error:#}"));
                tracing::error!(%file, error, "cannot read the device keys");
                Storage::Unreadable(error)
            }
            Err(error) => return Err(error.context(format!("the keys in {}", file.display()))),
        };
        Ok(Self { storage })
    }

    /// Creates a store that keeps no keys.
    pub(crate) fn in_memory() -> Self {
        Self { storage: Storage::Memory }
    }

    /// Returns whether keys can be read.
    pub(crate) fn is_readable(&self) -> bool {
        !matches!(self.storage, Storage::Unreadable(_))
    }

    /// Returns the database; `None` when keys are kept in memory.
    fn file(&self) -> Result<Option<&Arc<Database>>, StoreError> {
        match &self.storage {
            Storage::File(database) => Ok(Some(database)),
            Storage::Memory => Ok(None),
            Storage::Unreadable(why) => Err(StoreError::Database(why.clone().into())),
        }
    }

    /// Returns every session with an entry in the file, linked or not.
    pub(crate) async fn sessions(&self) -> Result<Vec<SessionName>, StoreError> {
        let Some(database) = self.file()? else { return Ok(Vec::new()) };
        let names = database.read(session_keys::names).await?;
        Ok(names.iter().filter_map(|name| SessionName::parse(name)).collect())
    }

    /// Returns the keys of a session, and creates an entry if there is none. `observer` is told of new
    /// mappings between LIDs and phone numbers.
    pub(crate) async fn keys(
        &self,
        session: &SessionName,
        observer: Option<Arc<dyn NewMappings>>,
    ) -> Result<Arc<dyn Backend>, StoreError> {
        Ok(match self.file()? {
            Some(database) => {
                let keys = SessionKeys::open(database.clone(), session).await?;
                Arc::new(keys.with_observer(observer))
            }
            None => Arc::new(InMemoryBackend::new()),
        })
    }

    /// Returns the state of a session's keys after all earlier writes.
    ///
    /// Runs on the writer thread: an engine that has just ended may have left a queued write, which
    /// a reader would miss.
    pub(crate) async fn state(&self, session: &SessionName) -> Result<KeysState, StoreError> {
        let Some(database) = self.file()? else { return Ok(KeysState::NotLinked) };
        let name = session.as_str().to_owned();
        let read = move |connection: &rusqlite::Connection| {
            Ok((
                session_keys::is_known(connection, &name)?,
                session_keys::device(connection, &name)?,
            ))
        };
        let (known, device) = database.write(read).await?;
        if !known {
            return Ok(KeysState::Missing);
        }
        let linked = device.and_then(|d| identity(d.pn.as_ref()?, d.lid.as_ref(), &d.push_name));
        Ok(linked.map_or(KeysState::NotLinked, KeysState::Linked))
    }

    /// Returns whether the session has the engine's copy of a message with this id to this chat. The
    /// engine stores the copy before it writes the message to WhatsApp.
    pub(crate) async fn has_sent_message(
        &self,
        session: &SessionName,
        chat: &str,
        id: &str,
    ) -> Result<bool, StoreError> {
        let Some(database) = self.file()? else { return Ok(false) };
        match SessionKeys::find(database.clone(), session).await? {
            Some(keys) => keys.has_sent_message(chat, id).await,
            None => Ok(false),
        }
    }

    /// Removes the keys, which link no device, and keeps the entry: a session without an entry
    /// counts as a session that lost its keys.
    pub(crate) async fn discard(&self, session: &SessionName) -> Result<(), StoreError> {
        let Some(database) = self.file()? else { return Ok(()) };
        let name = session.as_str().to_owned();
        let discard = move |connection: &rusqlite::Connection| {
            session_keys::delete(connection, &name)?;
            session_keys::insert(connection, &name).map(drop)
        };
        database.erase(discard).await
    }

    /// Removes the keys and the entry of a session in one transaction. On return, no file in the
    /// folder contains them.
    pub(crate) async fn wipe(&self, session: &SessionName) -> Result<(), StoreError> {
        let Some(database) = self.file()? else { return Ok(()) };
        let name = session.as_str().to_owned();
        database.erase(move |connection| session_keys::delete(connection, &name)).await
    }
}

/// Rejects a folder with the old layout of one file for each session.
fn reject_old_layout(folder: &Path) -> anyhow::Result<()> {
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|end| end == "db") {
            bail!(
                "{} holds device keys in the layout of an earlier berth-gateway, one file for each \
                 session, which this version cannot read. Remove these devices on their phones, \
                 delete the folder {}, and link the sessions again",
                path.display(),
                folder.display(),
            );
        }
    }
    Ok(())
}

/// Returns the identity of a linked device as the protocol represents it; `None` without a phone
/// number.
pub(crate) fn identity(
    pn: &whatsapp_rust::Jid,
    lid: Option<&whatsapp_rust::Jid>,
    push_name: &str,
) -> Option<Identity> {
    (!pn.user.is_empty()).then(|| Identity {
        phone: pn.user.to_string(),
        jid: pn.to_string(),
        lid: lid.filter(|lid| !lid.user.is_empty()).map(ToString::to_string),
        device: u32::from(pn.device),
        push_name: (!push_name.is_empty()).then(|| push_name.to_owned()),
    })
}

/// Returns the identity of the device that the engine has in memory.
pub(crate) fn device_identity(device: &Device) -> Option<Identity> {
    identity(device.pn.as_ref()?, device.lid.as_ref(), &device.push_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folder_of_the_old_key_layout_is_rejected() {
        let data = tempfile::tempdir().unwrap();
        let old = data.path().join("sessions");
        fs::create_dir_all(&old).unwrap();
        KeyStore::open(data.path()).unwrap();
        fs::write(old.join("sess_1.db"), b"x").unwrap();
        let refused = KeyStore::open(data.path()).err().unwrap().to_string();
        assert!(refused.contains("sess_1.db") && refused.contains("link"), "{refused}");
    }
}

//! Where device keys live: one SQLite file for all sessions of a node (ADR 0019).

mod app_sync;
mod database;
mod device;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod operations;
mod protocol;
mod rows;
mod session_keys;
mod signal;
mod writer;

use std::{fs, io, path::Path, sync::Arc};

use anyhow::bail;
use gateway_protocol::Identity;
use wacore::store::{InMemoryBackend, error::StoreError, traits::Backend};
use whatsapp_rust::store::Device;

use self::{database::Database, session_keys::SessionKeys};
use crate::{data_folder::create_private_folder, session_name::SessionName};

/// The file, in the data folder.
const FILE_NAME: &str = "keys.db";

/// All sessions' keys, in one file of the data folder.
pub(crate) struct KeyStore {
    storage: Storage,
}

enum Storage {
    File(Arc<Database>),
    /// Keeps keys as long as their connection lives: what measurements are compared with.
    Memory,
    /// The file cannot be read, for this reason: every session is told so, and nothing is begun anew.
    Unreadable(String),
}

/// What the keys of a session say of its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeysState {
    /// This device is linked.
    Linked(Identity),
    /// There are keys, by which no device is linked.
    NotLinked,
    /// There are no keys: none were ever made here, or they are lost.
    Missing,
}

impl KeyStore {
    /// Opens the file, made if there is none. Blocks.
    ///
    /// Fails when a newer program wrote it, and when the folder has keys the way they were kept once:
    /// passing them over would leave devices linked that nobody knows of. A file that is damaged or
    /// cannot be read does not fail here: a node that runs can say so for each of its sessions.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        create_private_folder(data)?;
        reject_old_layout(&data.join("sessions"))?;
        let file = data.join(FILE_NAME);
        let storage = match Database::open(&file) {
            Ok(database) => Storage::File(Arc::new(database)),
            Err(error) if is_file_error(&error) => {
                let (file, error) = (file.display(), format!("{error:#}"));
                tracing::error!(%file, error, "the device keys cannot be read");
                Storage::Unreadable(error)
            }
            Err(error) => return Err(error.context(format!("the keys in {}", file.display()))),
        };
        Ok(Self { storage })
    }

    /// Keeps nothing.
    pub(crate) fn in_memory() -> Self {
        Self { storage: Storage::Memory }
    }

    /// Whether keys can be read at all.
    pub(crate) fn is_readable(&self) -> bool {
        !matches!(self.storage, Storage::Unreadable(_))
    }

    /// The file; `None` when keys are kept in memory.
    fn file(&self) -> Result<Option<&Arc<Database>>, StoreError> {
        match &self.storage {
            Storage::File(database) => Ok(Some(database)),
            Storage::Memory => Ok(None),
            Storage::Unreadable(why) => Err(StoreError::Database(why.clone().into())),
        }
    }

    /// Every session with keys here, linked or not.
    pub(crate) async fn sessions(&self) -> Result<Vec<SessionName>, StoreError> {
        let Some(database) = self.file()? else { return Ok(Vec::new()) };
        let names = database.read(session_keys::names).await?;
        Ok(names.iter().filter_map(|name| SessionName::parse(name)).collect())
    }

    /// The session's keys, which are new when there were none.
    pub(crate) async fn keys(&self, session: &SessionName) -> Result<Arc<dyn Backend>, StoreError> {
        Ok(match self.file()? {
            Some(database) => Arc::new(SessionKeys::open(database.clone(), session).await?),
            None => Arc::new(InMemoryBackend::new()),
        })
    }

    /// What the session's keys say, after everything that was to be written before.
    ///
    /// Read where writes are done, in their order: an engine that has just ended may have left a write
    /// under way, and a reader might miss it.
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

    /// Removes the keys, which link no device any more, and keeps in mind that there were some: a
    /// session of which nothing is left has lost its keys.
    pub(crate) async fn discard(&self, session: &SessionName) -> Result<(), StoreError> {
        let Some(database) = self.file()? else { return Ok(()) };
        let name = session.as_str().to_owned();
        let discard = move |connection: &rusqlite::Connection| {
            session_keys::delete(connection, &name)?;
            session_keys::insert(connection, &name).map(drop)
        };
        database.erase(discard).await
    }

    /// Removes everything the session has, all at once; when this returns it is in no file here.
    pub(crate) async fn wipe(&self, session: &SessionName) -> Result<(), StoreError> {
        let Some(database) = self.file()? else { return Ok(()) };
        let name = session.as_str().to_owned();
        database.erase(move |connection| session_keys::delete(connection, &name)).await
    }
}

/// Whether the file itself is at fault, and not who wrote it.
fn is_file_error(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<rusqlite::Error>() || cause.is::<io::Error>())
}

/// Keys were once kept in a file a session, which nothing reads any more.
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
                "{} holds device keys as an earlier berth-gateway kept them, a file a session; this one \
                 cannot read them. Remove these devices on their phones, delete the folder {}, and link \
                 the sessions anew",
                path.display(),
                folder.display(),
            );
        }
    }
    Ok(())
}

/// Who a linked device is, in the treaty's words.
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

/// Who is linked, as the engine has it in memory.
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

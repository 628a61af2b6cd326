//! Where device keys live: one SQLite file a session, so that forgetting a session is removing its
//! files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use gateway_protocol::Identity;
use whatsapp_rust::store::{
    Device, DeviceStore as _, SqliteStore, SqliteStoreConfig, Synchronous, error::StoreError,
};

/// A session's name, safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionName(Arc<str>);

impl SessionName {
    /// `None` unless it is 1 to 64 letters, digits and underscores.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        fits.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The folder of all sessions' keys.
#[derive(Debug)]
pub(crate) struct Vault {
    folder: PathBuf,
}

impl Vault {
    /// Makes the folder, for the owner's eyes only, and clears away what a crash in the middle of a
    /// wipe left behind.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("sessions");
        make_private(&folder)?;
        let vault = Self { folder };
        for name in vault.names()? {
            let session = ["-wal", "-shm"]
                .iter()
                .find_map(|end| SessionName::parse(name.strip_suffix(end)?.strip_suffix(".db")?));
            if let Some(session) = session.filter(|session| !vault.holds(session)) {
                vault.wipe(&session)?;
            }
        }
        Ok(vault)
    }

    /// Every session with keys here.
    pub(crate) fn sessions(&self) -> io::Result<Vec<SessionName>> {
        let names = self.names()?;
        Ok(names.iter().filter_map(|n| SessionName::parse(n.strip_suffix(".db")?)).collect())
    }

    /// Whether this session has keys here, linked or not.
    pub(crate) fn holds(&self, session: &SessionName) -> bool {
        self.file(session, "").exists()
    }

    /// Opens the session's keys, making new ones when there are none. One at a time.
    ///
    /// Every commit reaches the disk before it is acknowledged: a device that WhatsApp holds linked
    /// must not be unknown here after a power cut.
    pub(crate) async fn store(&self, session: &SessionName) -> Result<SqliteStore, StoreError> {
        let config =
            SqliteStoreConfig { synchronous: Synchronous::Full, ..SqliteStoreConfig::default() };
        SqliteStore::with_config(&self.file(session, "").to_string_lossy(), config).await
    }

    /// Who is linked by the keys on disk, without leaving them open.
    pub(crate) async fn identity(
        &self,
        session: &SessionName,
    ) -> Result<Option<Identity>, StoreError> {
        if !self.holds(session) {
            return Ok(None);
        }
        let device = self.store(session).await?.load().await?;
        Ok(device.and_then(|d| identity(d.pn.as_ref()?, d.lid.as_ref(), &d.push_name)))
    }

    /// Removes every file of the session and makes that durable. The file that says there are keys
    /// goes last, so that an interrupted wipe is repeated.
    pub(crate) fn wipe(&self, session: &SessionName) -> io::Result<()> {
        for suffix in ["-wal", "-shm", "-journal", ""] {
            match fs::remove_file(self.file(session, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::File::open(&self.folder)?.sync_all()
    }

    fn file(&self, session: &SessionName, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}.db{suffix}", session.as_str()))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }
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
pub(crate) fn identity_of(device: &Device) -> Option<Identity> {
    identity(device.pn.as_ref()?, device.lid.as_ref(), &device.push_name)
}

/// The lock that keeps two nodes from ever opening the same keys; held until dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: fs::File,
}

impl FolderLock {
    /// Fails with [`io::ErrorKind::WouldBlock`] when another node has the folder.
    pub(crate) fn take(data: &Path) -> io::Result<Self> {
        make_private(data)?;
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(data.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another node is running on the data folder {}", data.display()),
            )),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_leave_the_folder_is_no_name() {
        for name in ["", "..", "a/b", "a.db", "a-b", "ä", "a\0", &"a".repeat(65)] {
            assert_eq!(SessionName::parse(name), None, "{name:?}");
        }
        assert!(SessionName::parse("sess_01JAbc").is_some());
    }

    #[tokio::test]
    async fn a_wipe_leaves_nothing_that_names_the_session() {
        let data = tempfile::tempdir().unwrap();
        let vault = Vault::open(data.path()).unwrap();
        let (gone, stays) =
            (SessionName::parse("gone").unwrap(), SessionName::parse("stays").unwrap());
        vault.store(&gone).await.unwrap().create().await.unwrap();
        vault.store(&stays).await.unwrap().create().await.unwrap();
        assert_eq!(vault.identity(&gone).await.unwrap(), None);
        vault.wipe(&gone).unwrap();
        vault.wipe(&gone).unwrap();
        assert_eq!(vault.sessions().unwrap(), [stays]);
        assert!(vault.names().unwrap().iter().all(|name| !name.contains("gone")));
    }

    #[test]
    fn the_rest_of_an_interrupted_wipe_goes_at_the_next_start() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("sessions")).unwrap();
        fs::write(data.path().join("sessions/half.db-wal"), b"x").unwrap();
        let vault = Vault::open(data.path()).unwrap();
        assert!(vault.names().unwrap().is_empty());
    }

    #[test]
    fn a_folder_has_one_node() {
        let data = tempfile::tempdir().unwrap();
        let first = FolderLock::take(data.path()).unwrap();
        let refused = FolderLock::take(data.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        drop(first);
        FolderLock::take(data.path()).unwrap();
    }
}

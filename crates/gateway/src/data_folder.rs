//! The data folder of a node and the lock that keeps it to one node.

use std::{fs, io, path::Path};

/// The name of the file that tells of a restored back-up.
pub(crate) const RESTORED_FILE: &str = "restored.json";
/// The first part of the names of folders with unsealed copies, which exist while a back-up is
/// written.
pub(crate) const COPY_PREFIX: &str = "backup-copy-";
/// The name of the lock file.
const LOCK_FILE: &str = "lock";

/// The lock on a data folder, so that two nodes never open the same keys; held until dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: fs::File,
}

impl FolderLock {
    /// Locks the folder, and creates it if it does not exist.
    ///
    /// # Errors
    /// Fails with [`io::ErrorKind::WouldBlock`] when another node holds the lock.
    pub(crate) fn take(data: &Path) -> io::Result<Self> {
        create_private_folder(data)?;
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(data.join(LOCK_FILE))?;
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

/// Returns whether a node holds the lock of the folder. Creates no file.
pub(crate) fn is_in_use(data: &Path) -> bool {
    let file = fs::OpenOptions::new().write(true).open(data.join(LOCK_FILE));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// Removes unsealed copies that a killed back-up left. A wiped session must be in no file.
pub(crate) fn remove_copies(data: &Path) {
    let entries = fs::read_dir(data).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_copy(&entry.file_name())) {
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::error!(%error, path = %entry.path().display(), "cannot remove a copy of the keys");
        }
    }
}

fn is_copy(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(COPY_PREFIX))
}

pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
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
    fn data_folder_is_locked_by_one_node() {
        let data = tempfile::tempdir().unwrap();
        let first = FolderLock::take(data.path()).unwrap();
        let refused = FolderLock::take(data.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
        assert!(is_in_use(data.path()));
        drop(first);
        assert!(!is_in_use(data.path()));
        FolderLock::take(data.path()).unwrap();
    }

    #[test]
    fn copies_of_a_killed_back_up_are_removed() {
        let data = tempfile::tempdir().unwrap();
        let copy = data.path().join(format!("{COPY_PREFIX}1"));
        fs::create_dir(&copy).unwrap();
        fs::write(copy.join("keys.db"), "canary").unwrap();
        fs::write(data.path().join("keys.db"), "").unwrap();
        remove_copies(data.path());
        let names: Vec<_> =
            fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["keys.db"]);
    }
}

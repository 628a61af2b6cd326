//! The data folder of a node and the lock that keeps it to one node.

use std::{fs, io, path::Path};

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
        drop(first);
        FolderLock::take(data.path()).unwrap();
    }
}

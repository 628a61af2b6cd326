//! [`NewFolder`]: the folder that a restore fills. Until the restore is complete, the files are in a
//! folder inside it, and a restore that fails removes what it created.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use crate::{archive::sync_folder_of, error::BackupError};

/// The name of the folder with the files of an unfinished restore.
const UNFINISHED: &str = ".unfinished-restore";

/// A folder that is new, or existed without files. Dropping the value without
/// [`finish`](NewFolder::finish) removes everything that the restore created.
#[derive(Debug)]
pub struct NewFolder {
    folder: PathBuf,
    is_created: bool,
    is_finished: bool,
}

impl NewFolder {
    /// Creates the folder, readable by its owner only, if there is none. The mount point of a volume
    /// may exist, without files.
    ///
    /// # Errors
    /// [`BackupError::NotEmpty`] when the folder has files.
    pub fn create(folder: &Path) -> Result<Self, BackupError> {
        let is_created = !folder.exists();
        if !is_created {
            // What an interrupted restore left is replaced.
            let _ = fs::remove_dir_all(folder.join(UNFINISHED));
            let entries = fs::read_dir(folder).map_err(BackupError::io(folder))?;
            let mut names = entries.flatten().map(|entry| entry.file_name());
            if names.any(|name| name != "lost+found") {
                return Err(BackupError::NotEmpty(folder.to_owned()));
            }
        }
        let new = Self { folder: folder.to_owned(), is_created, is_finished: false };
        let unfinished = new.unfinished();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&unfinished);
        made.map_err(BackupError::io(&unfinished))?;
        Ok(new)
    }

    /// Returns the folder for the files of the unfinished restore.
    pub fn unfinished(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// Moves the files to their places, in the order of their names here.
    ///
    /// # Errors
    /// Errors of the system; the files that were moved are then removed again.
    pub fn finish(mut self, names: &[&str]) -> Result<(), BackupError> {
        for (number, name) in names.iter().enumerate() {
            let (from, to) = (self.unfinished().join(name), self.folder.join(name));
            if let Err(error) = fs::rename(&from, &to) {
                for moved in &names[..number] {
                    let _ = fs::remove_file(self.folder.join(moved));
                }
                return Err(BackupError::io(&to)(error));
            }
        }
        self.is_finished = true;
        let unfinished = self.unfinished();
        fs::remove_dir_all(&unfinished).map_err(BackupError::io(&unfinished))?;
        sync_folder_of(&unfinished)
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let _ = fs::remove_dir_all(self.unfinished());
        if self.is_created {
            // Fails when the folder has other files by now.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

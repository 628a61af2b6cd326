//! `berth-gateway backup`: copies keys and journal to a file that a key of the operator seals.
//!
//! Decision: ADR 0060.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use backup::{Manifest, sqlite};
use sealing::FileKey;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    VERSION,
    command_line::{BackupFlags, DataFolderFlags},
    data_folder::{COPY_PREFIX, remove_copies},
    journal, keys,
};

/// The name of the program in manifests.
pub(super) const PROGRAM: &str = "berth-gateway";

/// Writes a back-up, while the node runs or not. Returns its manifest.
///
/// # Errors
/// Fails without a key, when the folder has no keys, and when the file exists.
pub fn run(flags: &BackupFlags) -> anyhow::Result<Manifest> {
    let BackupFlags { to, place: DataFolderFlags { data, backup_key } } = flags;
    let key = file_key(backup_key.as_ref())?;
    let keys_file = data.join(keys::FILE_NAME);
    if !keys_file.is_file() {
        bail!("{} does not exist: the folder has no keys", keys_file.display());
    }
    if to.exists() {
        bail!("{} exists already and is not replaced", to.display());
    }
    remove_copies(data);
    let copies = Copies::of(data)?;
    // The keys first: a message that WhatsApp regards as delivered is in the journal before the keys
    // know so, and the later copy of the journal then has the message.
    let keys_copy = copies.copy(&keys_file)?;
    let journal_copy = copies.copy(&data.join(journal::FILE_NAME))?;
    let mut manifest = Manifest::new(PROGRAM, VERSION, wacore::time::now_millis());
    manifest.sessions = sqlite::count_sessions(&keys_copy)?;
    let mut sources = Vec::new();
    for (name, copy) in [(keys::FILE_NAME, &keys_copy), (journal::FILE_NAME, &journal_copy)] {
        let layout = sqlite::layout(copy)?.to_string();
        manifest.layouts.insert(name.to_owned(), layout);
        sources.push((name, copy.as_path()));
    }
    Ok(backup::write(to, manifest, &sources, &key)?)
}

/// Parses the key of back-ups.
pub(super) fn file_key(key: Option<&SecretString>) -> anyhow::Result<FileKey> {
    let key = key.context(
        "BERTH_BACKUP_KEY_FILE must be set: the path of a file with 32 bytes as base64 \
         (openssl rand -base64 32)",
    )?;
    key.expose_secret().parse().map_err(|error| anyhow::anyhow!("BERTH_BACKUP_KEY {error}"))
}

/// Unsealed copies in the data folder, which are removed at the end, and at the next start of the
/// node if the process is killed. No other folder is as well protected as that of the keys.
struct Copies {
    folder: PathBuf,
}

impl Copies {
    fn of(data: &Path) -> anyhow::Result<Self> {
        let folder = data.join(format!("{COPY_PREFIX}{:016x}", rand::random::<u64>()));
        crate::data_folder::create_private_folder(&folder)?;
        Ok(Self { folder })
    }

    fn copy(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let name = file.file_name().context("a file has a name")?;
        let copy = self.folder.join(name);
        sqlite::copy(file, &copy)?;
        Ok(copy)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

//! The file with the seal keys of an SQLite database without a setting.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::zeroize::Zeroizing;

use crate::{
    envelope::KEY_LENGTH,
    seal_keys::{InvalidSealKeys, SealKeys},
};

/// The id of a key that is created for a file.
const CREATED_ID: &str = "local";
/// The maximum length of the file, in bytes.
const MAX_LENGTH: u64 = 64 * 1024;

/// The error for a key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or created.
    #[error("the file cannot be read or created")]
    Io(#[from] io::Error),
    /// The file contains no list of seal keys.
    #[error(transparent)]
    Invalid(#[from] InvalidSealKeys),
}

/// Reads the seal keys from a file. Without a file: creates one with a random key, which only its
/// owner can read, if `may_create`; otherwise returns no keys. A file that exists is never changed.
/// Of two processes that create the file at once, both get the same key.
///
/// # Errors
/// [`KeyFileError`].
pub fn read_or_create(path: &Path, may_create: bool) -> Result<SealKeys, KeyFileError> {
    match read(path) {
        Err(KeyFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            if !may_create {
                return Ok(SealKeys::default());
            }
            create(path)?;
            read(path)
        }
        result => result,
    }
}

fn read(path: &Path) -> Result<SealKeys, KeyFileError> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?.take(MAX_LENGTH).read_to_string(&mut text)?;
    Ok(text.trim().parse()?)
}

/// Writes the whole file under another name first: a process that dies leaves no half key.
fn create(path: &Path) -> io::Result<()> {
    let mut random = Zeroizing::new([0; KEY_LENGTH + 8]);
    rand::fill(&mut *random).map_err(|_| io::Error::other("no random numbers"))?;
    let (key, suffix) = random.split_at(KEY_LENGTH);
    let suffix = suffix.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let new = path.with_extension(format!("new-{suffix:016x}"));
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let text = Zeroizing::new(format!("{CREATED_ID}={}\n", STANDARD.encode(key)));
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A hard link replaces no file, unlike a rename.
    let linked = written.and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked?,
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::envelope::Binding;

    #[test]
    fn file_is_created_once_and_only_when_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/seal.key");
        assert!(read_or_create(&path, false).unwrap().is_empty());
        let keys = read_or_create(&path, true).unwrap();
        assert_eq!(keys.ids().collect::<Vec<_>>(), [CREATED_ID]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "no temporary file remains");
        let again = read_or_create(&path, true).unwrap();
        let binding = Binding::new("test", &[]);
        let sealed = keys.first().unwrap().cipher.encrypt(&binding, b"x").unwrap();
        assert!(again.first().unwrap().cipher.decrypt(&binding, &sealed).is_ok());
    }

    #[test]
    fn concurrent_starts_get_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let start = || read_or_create(&path, true).unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let binding = Binding::new("test", &[]);
        let sealed = keys[0].first().unwrap().cipher.encrypt(&binding, b"x").unwrap();
        for keys in &keys {
            assert!(keys.first().unwrap().cipher.decrypt(&binding, &sealed).is_ok());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn unusable_file_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        for text in ["", "\n", "local=AAAA", "canary"] {
            fs::write(&path, text).unwrap();
            let error = read_or_create(&path, true).unwrap_err();
            assert!(matches!(error, KeyFileError::Invalid(_)), "{text:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(matches!(read_or_create(folder.path(), true), Err(KeyFileError::Io(_))));
    }
}

//! A temporary folder that is removed with its owner, and by Ctrl-C.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::interrupt;

/// A folder below the temporary folder of the system.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Creates a folder; the name starts with `berth-` and this text.
    pub fn new(name: &str) -> Result<Self> {
        for _ in 0..16 {
            let path = std::env::temp_dir().join(format!("berth-{name}-{}", random_hex(4)?));
            match fs::create_dir(&path) {
                Ok(()) => {
                    interrupt::remember_folder(&path);
                    return Ok(Self { path });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).context(path.display().to_string()),
            }
        }
        anyhow::bail!("no free name for a temporary folder")
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("{} could not be removed: {error}", self.path.display());
        }
        interrupt::forget_folder(&self.path);
    }
}

/// Returns this number of random bytes as hexadecimal digits.
pub fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
    Ok(hexadecimal(&random))
}

/// Returns bytes as hexadecimal digits in lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

//! The file format of a back-up: a magic text, the manifest, and the files in sealed chunks.
//!
//! Every chunk is bound to the digest of the manifest, to its number, and to whether it is the last
//! one. A cut, altered, reordered or exchanged part is noticed by the chunk that does not open.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, BufWriter, ErrorKind, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use sealing::{ChunkPosition, FileKey};
use sha2::{Digest as _, Sha256};

use crate::{
    error::BackupError,
    manifest::{Manifest, Part},
};

const MAGIC: &[u8] = b"berth back-up\n";
/// Maximum length of the manifest, in bytes.
const MAX_MANIFEST: u32 = 4 << 20;
/// Length of the plain text of a chunk; the last chunk of a back-up is shorter.
const CHUNK: usize = 1 << 20;
/// Nonce and tag of a sealed chunk.
const OVERHEAD: usize = 28;

/// Writes a back-up of `sources`, files that no other process changes, to a new file, which only its
/// owner can read. Returns the complete manifest.
///
/// # Errors
/// [`BackupError::Exists`] when the target exists, and errors of the system. No file remains then.
pub fn write(
    target: &Path,
    mut manifest: Manifest,
    sources: &[(&str, &Path)],
    key: &FileKey,
) -> Result<Manifest, BackupError> {
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    key.id().clone_into(&mut manifest.key);
    manifest.parts =
        sources.iter().map(|(name, path)| part(name, path)).collect::<Result<_, _>>()?;
    let unfinished = with_suffix(target, ".unfinished");
    let written =
        write_file(&unfinished, &manifest, sources, key).and_then(|()| name(&unfinished, target));
    let _ = fs::remove_file(&unfinished);
    written?;
    sync_folder_of(target)?;
    Ok(manifest)
}

/// Gives a complete file its name. A hard link replaces no file, unlike a rename; some file systems
/// have no hard links.
fn name(unfinished: &Path, target: &Path) -> Result<(), BackupError> {
    match fs::hard_link(unfinished, target) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(BackupError::Exists(target.to_owned()))
        }
        Err(_) if !target.exists() => {
            fs::rename(unfinished, target).map_err(BackupError::io(target))
        }
        linked => linked.map_err(BackupError::io(target)),
    }
}

fn write_file(
    path: &Path,
    manifest: &Manifest,
    sources: &[(&str, &Path)],
    key: &FileKey,
) -> Result<(), BackupError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = BufWriter::new(file.map_err(BackupError::io(path))?);
    let text = serde_json::to_vec(manifest)
        .map_err(|error| BackupError::io(path)(std::io::Error::other(error)))?;
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let put = |file: &mut BufWriter<File>, bytes: &[u8]| {
        file.write_all(bytes).map_err(BackupError::io(path))
    };
    for bytes in [MAGIC, length.as_slice(), text.as_slice()] {
        put(&mut file, bytes)?;
    }
    let head = digest_of_head(&length, &text);
    let (mut number, mut chunk) = (0, Vec::with_capacity(CHUNK));
    let mut seal = |chunk: &[u8], is_last: bool| {
        let place = ChunkPosition { head: &head, number, is_last };
        number += 1;
        key.seal(&place, chunk).map_err(|error| BackupError::io(path)(std::io::Error::other(error)))
    };
    for (_, source) in sources {
        let mut reader = File::open(source).map_err(BackupError::io(*source))?;
        loop {
            let wanted = u64::try_from(CHUNK - chunk.len()).unwrap_or_default();
            let read = (&mut reader).take(wanted).read_to_end(&mut chunk);
            if read.map_err(BackupError::io(*source))? == 0 {
                break;
            }
            if chunk.len() == CHUNK {
                put(&mut file, &seal(&chunk, false)?)?;
                chunk.clear();
            }
        }
    }
    put(&mut file, &seal(&chunk, true)?)?;
    let file = file.into_inner().map_err(|error| BackupError::io(path)(error.into_error()))?;
    file.sync_all().map_err(BackupError::io(path))
}

/// A back-up whose manifest was read. The manifest counts only after [`extract`](Archive::extract),
/// which notices every change.
pub struct Archive {
    path: PathBuf,
    manifest: Manifest,
    head: [u8; 32],
    reader: BufReader<File>,
}

impl Archive {
    /// Reads the manifest.
    ///
    /// # Errors
    /// [`BackupError::NotABackup`], [`BackupError::Newer`], [`BackupError::Cut`] or
    /// [`BackupError::Altered`].
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let mut reader = BufReader::new(File::open(path).map_err(BackupError::io(path))?);
        let mut magic = [0; MAGIC.len()];
        let read = reader.read_exact(&mut magic);
        if read.is_err() || magic != MAGIC {
            return Err(BackupError::NotABackup(path.to_owned()));
        }
        let mut length = [0; 4];
        fill(&mut reader, &mut length, path)?;
        if u32::from_be_bytes(length) > MAX_MANIFEST {
            return Err(BackupError::Altered(path.to_owned()));
        }
        let mut text = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap_or_default()];
        fill(&mut reader, &mut text, path)?;
        let manifest = Manifest::parse(&text, path)?;
        Ok(Self { path: path.to_owned(), manifest, head: digest_of_head(&length, &text), reader })
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Writes the files into a folder, under their names, readable by their owner only.
    ///
    /// # Errors
    /// [`BackupError::OtherKey`], [`BackupError::Cut`] or [`BackupError::Altered`]; some files may
    /// then be in the folder, and must not be used.
    pub fn extract(mut self, key: &FileKey, folder: &Path) -> Result<Manifest, BackupError> {
        if key.id() != self.manifest.key {
            let (needed, given) = (self.manifest.key, key.id().to_owned());
            return Err(BackupError::OtherKey { needed, given });
        }
        let lengths = self.manifest.parts.iter().map(|part| part.bytes);
        let total = lengths.fold(0, u64::saturating_add);
        let chunk = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let mut chunks =
            Chunks { key, left: total, number: 0, plain: Vec::new(), at: 0, last: total / chunk };
        for part in &self.manifest.parts {
            let target = folder.join(&part.name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target);
            let mut file = file.map_err(BackupError::io(&target))?;
            let (mut left, mut digest) = (part.bytes, Sha256::new());
            while left > 0 {
                let bytes = chunks.next(&mut self.reader, &self.head, &self.path, left)?;
                left -= u64::try_from(bytes.len()).unwrap_or(left);
                digest.update(bytes);
                file.write_all(bytes).map_err(BackupError::io(&target))?;
            }
            file.sync_all().map_err(BackupError::io(&target))?;
            if hexadecimal(&digest.finalize()) != part.sha256 {
                return Err(BackupError::Altered(self.path));
            }
        }
        chunks.finish(&mut self.reader, &self.head, &self.path)?;
        Ok(self.manifest)
    }
}

/// The chunks of an archive, opened one by one.
struct Chunks<'a> {
    key: &'a FileKey,
    /// Plain bytes that are not read from the file yet.
    left: u64,
    number: u64,
    /// Number of the last chunk.
    last: u64,
    plain: Vec<u8>,
    at: usize,
}

impl Chunks<'_> {
    /// Returns the next plain bytes, at least one and at most `limit`.
    fn next(
        &mut self,
        reader: &mut impl Read,
        head: &[u8; 32],
        path: &Path,
        limit: u64,
    ) -> Result<&[u8], BackupError> {
        if self.at == self.plain.len() {
            self.open(reader, head, path)?;
        }
        let rest = &self.plain[self.at..];
        let count = rest.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        self.at += count;
        Ok(&rest[..count])
    }

    fn open(
        &mut self,
        reader: &mut impl Read,
        head: &[u8; 32],
        path: &Path,
    ) -> Result<(), BackupError> {
        let is_last = self.number == self.last;
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(CHUNK);
        let mut sealed = vec![0; length + OVERHEAD];
        fill(reader, &mut sealed, path)?;
        let place = ChunkPosition { head, number: self.number, is_last };
        let plain = self.key.open(&place, &sealed);
        self.plain = plain.map_err(|_| BackupError::Altered(path.to_owned()))?;
        self.at = 0;
        self.number += 1;
        self.left -= u64::try_from(self.plain.len()).unwrap_or(self.left).min(self.left);
        Ok(())
    }

    /// Opens the last chunk if it is empty, and checks that the file ends.
    fn finish(
        mut self,
        reader: &mut impl Read,
        head: &[u8; 32],
        path: &Path,
    ) -> Result<(), BackupError> {
        if self.number == self.last {
            self.open(reader, head, path)?;
        }
        match reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(BackupError::Altered(path.to_owned())),
            Err(error) => Err(BackupError::io(path)(error)),
        }
    }
}

fn fill(reader: &mut impl Read, bytes: &mut [u8], path: &Path) -> Result<(), BackupError> {
    reader.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => BackupError::Cut(path.to_owned()),
        _ => BackupError::io(path)(error),
    })
}

fn part(name: &str, path: &Path) -> Result<Part, BackupError> {
    let mut file = File::open(path).map_err(BackupError::io(path))?;
    let (mut digest, mut bytes, mut chunk) = (Sha256::new(), 0_u64, vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk).map_err(BackupError::io(path))? {
            0 => break,
            count => {
                digest.update(&chunk[..count]);
                bytes += u64::try_from(count).unwrap_or_default();
            }
        }
    }
    Ok(Part { name: name.to_owned(), bytes, sha256: hexadecimal(&digest.finalize()) })
}

fn digest_of_head(length: &[u8], manifest: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(MAGIC).chain_update(length).chain_update(manifest).finalize().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes a new name in the folder of this path durable.
///
/// # Errors
/// When the folder cannot be synchronized.
pub fn sync_folder_of(path: &Path) -> Result<(), BackupError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(BackupError::io(folder))
}

//! [`Manifest`]: what a back-up contains, readable without its key.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::error::BackupError;

/// The number of the format of archives that this program writes and reads.
pub(crate) const FORMAT: u32 = 1;

/// What a back-up contains. The manifest is not secret, and cannot be altered without notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Number of the format of the archive.
    pub format: u32,
    /// Program that wrote the back-up: `berth` or `berth-gateway`.
    pub program: String,
    /// Version of the program.
    pub version: String,
    /// Time of the copy, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Id of the key that seals the files.
    pub key: String,
    /// Number of sessions in the copy.
    pub sessions: u64,
    /// Layout of each file: a number, or the newest migration.
    pub layouts: BTreeMap<String, String>,
    /// Ids of the seal keys that protect secrets in the copy. The back-up does not contain the keys.
    pub seal_keys: Vec<String>,
    /// Files, in their order in the archive.
    pub parts: Vec<Part>,
}

/// A file of a back-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Name of the file.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 digest, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Creates a manifest without files. `key` and `parts` are set when the archive is written.
    pub fn new(program: &str, version: &str, created_at: i64) -> Self {
        Self {
            format: FORMAT,
            program: program.to_owned(),
            version: version.to_owned(),
            created_at,
            key: String::new(),
            sessions: 0,
            layouts: BTreeMap::new(),
            seal_keys: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Returns the time of the copy in UTC: `2027-01-31 09:30:00Z`.
    pub fn time(&self) -> String {
        let Ok(at) = OffsetDateTime::from_unix_timestamp(self.created_at.div_euclid(1000)) else {
            return self.created_at.to_string();
        };
        let (date, time) = (at.date(), at.time());
        format!("{date} {:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
    }

    /// Parses the manifest of an archive. The number of the format is read first, because a newer
    /// format may have other fields.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, BackupError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let altered = |_| BackupError::Altered(path.to_owned());
        let Head { format } = serde_json::from_slice(text).map_err(altered)?;
        if format > FORMAT {
            let (found, known) = (format!("format {format}"), format!("format {FORMAT}"));
            return Err(BackupError::Newer { found, known });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(altered)?;
        let is_plain = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
                && !name.starts_with('.')
        };
        if manifest.parts.iter().any(|part| !is_plain(&part.name)) {
            return Err(BackupError::Altered(path.to_owned()));
        }
        Ok(manifest)
    }

    /// Checks the program.
    ///
    /// # Errors
    /// [`BackupError::OtherProgram`].
    pub fn expect_program(&self, expected: &'static str) -> Result<(), BackupError> {
        if self.program == expected {
            Ok(())
        } else {
            Err(BackupError::OtherProgram { found: self.program.clone(), expected })
        }
    }

    /// Checks that the layout of a file is not newer than `known`. Layouts compare as numbers if both
    /// are numbers, and otherwise as texts.
    ///
    /// # Errors
    /// [`BackupError::Newer`].
    pub fn expect_layout(&self, file: &str, known: &str) -> Result<(), BackupError> {
        let found = self.layouts.get(file).map_or("", String::as_str);
        let is_newer = match (found.parse::<u64>(), known.parse::<u64>()) {
            (Ok(found), Ok(known)) => found > known,
            _ => found > known,
        };
        if is_newer {
            let text = |layout: &str| format!("layout {layout} of {file}");
            return Err(BackupError::Newer { found: text(found), known: text(known) });
        }
        Ok(())
    }
}

//! Back-ups of SQLite files, for both programs.
//!
//! A back-up is one file: a manifest that everybody can read, and the copied files sealed by a key of
//! the operator. A file that is cut, altered, of a newer program or of another key is refused before
//! anything is written.
//!
//! - `archive`: the file format.
//! - `manifest`: what a back-up contains.
//! - `sqlite`: copies of databases in use.
//! - `target`: folders and files of a restore.
//!
//! Decision: ADR 0060.

mod archive;
mod error;
mod manifest;
pub mod sqlite;
mod target;

pub use self::{
    archive::{Archive, sync_folder_of, write},
    error::BackupError,
    manifest::{Manifest, Part},
    target::NewFolder,
};

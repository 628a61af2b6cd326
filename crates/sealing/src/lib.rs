//! Seals secrets for storage.
//!
//! A secret is encrypted with the data key of its organization. The data key is in the database,
//! encrypted ("wrapped") by a seal key that the operator keeps outside of the database. A copy of
//! the database alone therefore opens no secret, and a new seal key rewraps one row per
//! organization.
//!
//! - `seal_keys`, `key_file`: the seal keys, from a setting or from a file.
//! - `file_key`: seals files in chunks, for back-ups (ADR 0060).
//! - `envelope`: AES-256-GCM with a random nonce and a context.
//! - `sealer`: implements [`domain::ports::SecretSealer`].
//! - `rotation`: rewraps data keys, and tells which seal keys are in use.
//!
//! Decision: ADR 0042.

mod envelope;
mod file_key;
mod key_file;
mod rotation;
mod seal_keys;
mod sealer;

pub use self::{
    file_key::{ChunkPosition, FileKey, InvalidFileKey},
    key_file::{KeyFileError, read_or_create},
    rotation::{Rewrapped, SealKeyUse},
    seal_keys::{InvalidSealKeys, SealKeys},
    sealer::Sealer,
};

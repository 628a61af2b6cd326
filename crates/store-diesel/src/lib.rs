//! The domain's stores on SQLite and PostgreSQL.
//!
//! One adapter, [`Database`], implements every trait of [`domain::ports`] that remembers something.
//! Each statement is written once and compiled for both databases; which rows a caller can touch is
//! decided in one file, `scope.rs`. The migrations run when the database is opened.

mod batch;
mod cache;
mod claim_rotation;
mod config;
mod database;
mod database_url;
mod engine;
mod error;
mod rows;
mod schema;
mod scope;
mod tables;
#[cfg(test)]
#[path = "../tests/store/place.rs"]
mod test_place;

pub use config::Config;
pub use database::{Database, DatabaseKind};
pub use error::StoreError;

// Only here so that SQLite is compiled in rather than looked for on the machine.
use libsqlite3_sys as _;

#[cfg(test)]
extern crate self as store_diesel;

//! The domain's stores on SQLite and PostgreSQL.
//!
//! One adapter, [`Database`], implements every trait of [`domain::ports`] that remembers something.
//! Each statement is written once and compiled for both databases; which rows a caller can touch is
//! decided in one file, `scope.rs`. The migrations run when the database is opened.

mod api_keys;
mod attempts;
mod backlog;
mod change;
mod claims;
mod clock;
mod column;
mod commits;
mod config;
mod connector;
mod desk;
mod documents;
mod error;
mod events;
mod gathered;
mod health;
mod look;
mod migrate;
mod nodes;
mod orphans;
mod pool;
mod pooler;
mod postgres;
mod receipts;
mod recent;
mod retention;
mod retirements;
mod rows;
mod schema;
mod scope;
mod secrets;
mod session_row;
mod sessions;
mod sqlite;
mod sqlstate;
mod target;
#[cfg(test)]
#[path = "../tests/store/place.rs"]
mod test_place;
mod tls;
mod turns;
mod usage;
mod versions;
mod whole;
mod writer;

pub use config::Config;
pub use error::StoreError;
pub use pool::{Database, DatabaseKind};

// Only here so that SQLite is compiled in rather than looked for on the machine.
use libsqlite3_sys as _;

#[cfg(test)]
extern crate self as store_diesel;

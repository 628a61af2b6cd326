//! Implements the domain's store ports on SQLite and PostgreSQL.
//!
//! One adapter, [`Database`], implements every store trait of [`domain::ports`]. Each statement is
//! written once and compiled for both databases. `scope.rs` and its submodules decide which rows a
//! caller can reach. Opening the database runs the migrations.
//!
//! | module | content |
//! | --- | --- |
//! | `database` | [`Database`]: connect, ping, and macros for statements on either engine |
//! | `engine` | connections to PostgreSQL and SQLite; knows no table |
//! | `rows` | one file per table: columns to domain values and back; knows no connection |
//! | `scope` | the `WHERE` fragments |
//! | `tables` | the port implementations |
//! | `batch` | writes and lookups that share statements: speed only |

mod batch;
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
mod test_database;

pub use config::Config;
pub use database::{Database, DatabaseKind, inspection::Inspection};
pub use error::StoreError;
pub use tables::operator_figures::OperatorFigures;
pub use tables::restored_copy::AdaptedCopy;

// The crate name is used only here: the dependency makes the build compile SQLite in instead of
// linking the system's library.
use libsqlite3_sys as _;

//! The promises of the API, tested from the outside: real programs, sockets, both databases, `kill -9`.
//!
//! Every test runs once per database, as `file::test::sqlite` and `file::test::postgres`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod browsers;
mod credentials;
mod document;
mod isolation;
mod kicks;
mod kills;
mod life;
mod links;
mod messages;
mod other_clients;
mod outages;
mod raw_bytes;
mod remote;
mod repeats;
mod shutdown;
mod streams;
mod webhooks;

/// Declares tests of functions in this module, one for each database, on a deployment that is
/// `shared` or `exclusive`.
macro_rules! each_database {
    ($kind:ident: $($name:ident),+ $(,)?) => { $(
        mod $name {
            #[test]
            fn sqlite() -> anyhow::Result<()> {
                acceptance::deployment::$kind(testbed::options::DatabaseKind::Sqlite, super::$name)
            }

            #[test]
            fn postgres() -> anyhow::Result<()> {
                acceptance::deployment::$kind(testbed::options::DatabaseKind::Postgres, super::$name)
            }
        }
    )+ };
}

use each_database;

//! Options that several tools share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A database that berth supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DatabaseKind {
    /// SQLite in a file of the stack.
    Sqlite,
    /// PostgreSQL in a server of its own.
    Postgres,
}

impl DatabaseKind {
    /// Returns the name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// The source of the programs under test.
#[derive(Clone, Debug, Default, Args)]
pub struct Prebuilt {
    /// Build nothing: berth, berth-gateway (with feature `sim`) and whatsapp-sim are in this folder.
    #[arg(long, env = "BERTH_TEST_BIN")]
    pub programs: Option<PathBuf>,
}

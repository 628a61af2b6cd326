//! The command line of `contract`.

use clap::Parser;
use testbed::options::{DatabaseKind, Prebuilt};

/// Tests the promises of the API from the outside.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask contract", bin_name = "cargo xtask contract")]
pub(crate) struct Contract {
    /// A deployment to try instead of one started here: only what harms nobody is run.
    #[arg(long, requires = "key_a", requires = "key_b")]
    pub(crate) url: Option<String>,
    /// A key of one organization, with `manage`.
    #[arg(long, env = "BERTH_CONTRACT_KEY_A", hide_env_values = true)]
    pub(crate) key_a: Option<String>,
    /// A key of another organization, with `manage`.
    #[arg(long, env = "BERTH_CONTRACT_KEY_B", hide_env_values = true)]
    pub(crate) key_b: Option<String>,
    /// A login token of the first organization, with `manage`.
    #[arg(long, env = "BERTH_CONTRACT_JWT_A", hide_env_values = true)]
    pub(crate) jwt_a: Option<String>,
    /// Only on this database; may be repeated.
    #[arg(long, value_enum)]
    pub(crate) database: Vec<DatabaseKind>,
    /// Only scenarios whose name contains this; may be repeated.
    #[arg(long)]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) prebuilt: Prebuilt,
}

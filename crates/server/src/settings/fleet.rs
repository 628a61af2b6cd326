//! The settings of a fleet secret.

use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;

use super::text::{cleaned, secret};
use crate::invalid::Invalid;

table!(
    /// A secret from which the tokens of nodes are derived.
    Fleet {
        /// Secret from which tokens of nodes are derived, 32 to 512 characters; prefer the variable
        /// [default: none]
        #[arg(long, env = "BERTH_FLEET_SECRET", hide_env_values = true, value_name = "TEXT", value_parser = secret)]
        fleet_secret: SecretString,
        /// Ids of the nodes that may use a derived token, such as `gw-*`, separated by commas
        /// [default: `*`]
        #[arg(long, env = "BERTH_FLEET_NODES", value_name = "LIST")]
        fleet_nodes: String,
    }
);

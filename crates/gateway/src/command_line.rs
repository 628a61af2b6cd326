//! The command line: a node to run, or a command for its operator.

use std::{net::SocketAddr, path::PathBuf};

use clap::{CommandFactory as _, FromArgMatches as _, Subcommand};
use program_settings::{GenerateCommand, InvalidVariable, Variables, parse};
use secrecy::SecretString;

use crate::Args;

/// What the program is asked to do.
#[derive(Debug)]
pub enum Invocation {
    /// Run a node.
    Run(Box<Args>),
    /// Run a command and end.
    Command(NodeCommand),
}

/// The commands for operators.
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Check settings, machine, data folder, router and WhatsApp; changes nothing. Exit code 0: all
    /// well, 1: warnings, 2: faults.
    Doctor(Box<DoctorFlags>),
    /// Copy the keys and the journal to a sealed file; works while the node runs.
    Backup(BackupFlags),
    /// Ask a running node whether it is alive. Exit code 0: yes, 1: no.
    Health(HealthFlags),
    /// Make completion scripts for shells, and man pages.
    #[command(subcommand)]
    Generate(GenerateCommand),
    /// Create a data folder from a back-up. The sessions then negotiate new message keys.
    Restore(RestoreFlags),
}

/// `berth-gateway doctor`
#[derive(Debug, clap::Args)]
pub struct DoctorFlags {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The settings of the node.
    #[command(flatten)]
    pub node: Args,
}

/// `berth-gateway health`
#[derive(Debug, clap::Args)]
pub struct HealthFlags {
    /// Ask whether the node is ready: registered with its router, and able to use its keys
    #[arg(long)]
    pub ready: bool,
    /// The node's listener for operators.
    #[arg(long, env = "BERTH_GATEWAY_OPS_LISTEN", value_parser = parse::<SocketAddr>)]
    pub ops_listen: Option<SocketAddr>,
}

/// `berth-gateway backup`
#[derive(Debug, clap::Args)]
pub struct BackupFlags {
    /// The file to create.
    #[arg(long, value_name = "FILE", value_parser = parse::<PathBuf>)]
    pub to: PathBuf,
    /// The folder and the key.
    #[command(flatten)]
    pub place: DataFolderFlags,
}

/// `berth-gateway restore`
#[derive(Debug, clap::Args)]
pub struct RestoreFlags {
    /// The back-up.
    #[arg(long, value_name = "FILE", value_parser = parse::<PathBuf>)]
    pub from: PathBuf,
    /// The folder and the key.
    #[command(flatten)]
    pub place: DataFolderFlags,
}

/// The data folder, and the key of back-ups.
#[derive(Debug, clap::Args)]
pub struct DataFolderFlags {
    /// The folder of the device keys. `restore` creates the folder, or uses an empty one.
    #[arg(long, env = "BERTH_GATEWAY_DATA", default_value = "data/gateway",
        value_parser = parse::<PathBuf>)]
    pub data: PathBuf,
    /// The key that seals back-ups: 32 bytes as base64; prefer the variable, or
    /// `BERTH_BACKUP_KEY_FILE`
    #[arg(long, env = "BERTH_BACKUP_KEY", hide_env_values = true, value_name = "KEY",
        value_parser = secret)]
    pub backup_key: Option<SecretString>,
}

#[expect(clippy::unnecessary_wraps, reason = "a clap value parser may fail")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

/// Returns the whole command line, for the program and for its documentation.
pub fn command() -> clap::Command {
    NodeCommand::augment_subcommands(Args::command())
        .subcommand_required(false)
        .subcommand_negates_reqs(true)
        .args_conflicts_with_subcommands(true)
}

impl Invocation {
    /// Reads the command line and the environment of the process. Ends the process as `clap` does,
    /// for help and for invalid values.
    ///
    /// # Errors
    /// Fails when a variable, or the file that a variable names, cannot be used.
    pub fn read() -> Result<Self, InvalidVariable> {
        let matches = Variables::of_process().fill(command())?.get_matches();
        let invocation = if matches.subcommand_name().is_some() {
            NodeCommand::from_arg_matches(&matches).map(Self::Command)
        } else {
            Args::from_arg_matches(&matches).map(|args| Self::Run(Box::new(args)))
        };
        Ok(invocation.unwrap_or_else(|error| error.exit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        command().debug_assert();
        let matches = command().try_get_matches_from(["berth-gateway", "--router", "http://h"]);
        assert!(Args::from_arg_matches(&matches.unwrap()).is_ok());
        let matches = command().try_get_matches_from(["berth-gateway", "backup", "--to", "x"]);
        let command = NodeCommand::from_arg_matches(&matches.unwrap()).unwrap();
        assert!(
            matches!(command, NodeCommand::Backup(flags) if flags.place.data == std::path::Path::new("data/gateway"))
        );
        assert!(super::command().try_get_matches_from(["berth-gateway"]).is_err(), "no router");
    }
}

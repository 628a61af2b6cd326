//! The command line: `berth serve`, which is also what plain `berth` does, `berth key …` and others.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use program_settings::{GenerateCommand, Variables};
use secrecy::SecretString;

use crate::{
    invalid::Invalid,
    settings::{Database, Flags, Fleet, Listeners, Logging, Sealing, Settings, secret},
};

/// Manages WhatsApp sessions of many organizations behind one HTTP API.
///
/// Every setting is a flag, an environment variable and an entry of a TOML file. Flags win, then
/// variables, then the file. `NAME_FILE` in place of a variable `NAME` is the path of a file with
/// the value.
#[derive(Debug, Parser)]
#[command(name = "berth", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Flags,
}

impl Cli {
    /// Reads the command line and the environment of the process. Exits the process as `clap` does,
    /// with the help text or for an unknown flag.
    pub(crate) fn read() -> Result<Self, Invalid> {
        let matches = Variables::of_process().fill(Self::command())?.get_matches();
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API; the default without a command
    Serve(Box<Flags>),
    /// Ask a running berth whether it lives, or with --ready whether it is ready; exit code 0 or 1
    Health(Health),
    /// Check settings, machine, database, keys, issuers and nodes; changes nothing. Exit code 0: all
    /// well, 1: warnings, 2: faults
    Doctor(Box<Doctor>),
    /// Create, list and revoke API keys; works while berth serves
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show the seal keys, which protect secrets in the database
    #[command(subcommand)]
    Seal(SealCommand),
    /// List, adopt and unlink orphans: device keys on nodes without a session in the database
    #[command(subcommand)]
    Orphan(OrphanCommand),
    /// Make completion scripts for shells, and man pages
    #[command(subcommand)]
    Generate(GenerateCommand),
    /// Print the token of a node, derived from the fleet secret
    NodeToken(NodeToken),
    /// Copy an SQLite database to a sealed file; works while berth serves
    Backup(Backup),
    /// Create an SQLite database from a back-up, or adapt a database that other tools restored
    Restore(Restore),
    /// Erase an organization with everything that the database has of it
    #[command(subcommand)]
    Organization(OrganizationCommand),
}

/// `berth health`
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Ask for readiness (/readyz) instead of liveness (/livez)
    #[arg(long)]
    pub(crate) ready: bool,
    /// Path of a TOML file with berth's settings
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    pub(crate) listeners: Listeners,
}

/// `berth doctor`
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// `berth node-token`
#[derive(Debug, Args)]
pub(crate) struct NodeToken {
    /// Id of the node
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Path of a TOML file with berth's settings
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    pub(crate) fleet: Fleet,
}

/// The key of back-ups.
#[derive(Debug, Args)]
pub(crate) struct BackupKey {
    /// The key that seals back-ups: 32 bytes as base64; prefer the variable, or
    /// `BERTH_BACKUP_KEY_FILE`
    #[arg(long, env = "BERTH_BACKUP_KEY", hide_env_values = true, value_name = "KEY", value_parser = secret)]
    pub(crate) backup_key: Option<SecretString>,
}

/// `berth backup`
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to create
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
    #[command(flatten)]
    pub(crate) key: BackupKey,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// `berth restore`
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The back-up; the file of the database must not exist
    #[arg(long, value_name = "FILE", required_unless_present = "adapt")]
    pub(crate) from: Option<PathBuf>,
    /// Only adapt the configured database, which other tools restored, before berth serves
    #[arg(long, conflicts_with = "from")]
    pub(crate) adapt: bool,
    #[command(flatten)]
    pub(crate) key: BackupKey,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// The subcommands of `berth key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and print it once; the key cannot be shown again
    Create(CreateKey),
    /// List the keys that are not revoked, newest first
    List(ListKeys),
    /// Revoke a key permanently, with immediate effect
    Revoke(RevokeKey),
}

/// The subcommands of `berth seal`.
#[derive(Debug, Subcommand)]
pub(crate) enum SealCommand {
    /// Show each seal key, whether it is configured, and how many organizations it protects
    Status(SealStatus),
}

/// `berth seal status`
#[derive(Debug, Args)]
pub(crate) struct SealStatus {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) sealing: Sealing,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// The subcommands of `berth orphan`. Orphans are left when an old copy of the database, or of a
/// node's folder, is restored.
#[derive(Debug, Subcommand)]
pub(crate) enum OrphanCommand {
    /// List the orphans, by node and session
    List(ListOrphans),
    /// Give an orphan to an organization, as a stopped session of the same id
    Adopt(OneOrphan),
    /// Unlink an orphan's device on WhatsApp and wipe its keys
    Unlink(OneOrphan),
}

/// `berth orphan list`
#[derive(Debug, Args)]
pub(crate) struct ListOrphans {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// `berth orphan adopt` and `berth orphan unlink`
#[derive(Debug, Args)]
pub(crate) struct OneOrphan {
    /// Organization that gets the session, or whose events record the unlink
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// Id of the session on the node, `sess_…`
    #[arg(value_name = "SESSION")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// The subcommands of `berth organization`.
#[derive(Debug, Subcommand)]
pub(crate) enum OrganizationCommand {
    /// Delete and unlink every session, and erase keys, webhooks, messages and events; can be repeated
    Erase(EraseOrganization),
}

/// `berth organization erase`
#[derive(Debug, Args)]
pub(crate) struct EraseOrganization {
    /// Organization to erase
    #[arg(value_name = "ORG")]
    pub(crate) org: String,
    /// Confirms the erasure, which cannot be undone
    #[arg(long)]
    pub(crate) yes: bool,
    /// Maximum time to wait for the routers to unlink devices and remove messages
    #[arg(long, value_name = "DURATION", default_value = "2h")]
    pub(crate) wait: String,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// `berth key create`
#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// Organization of the key
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// Display name of the key
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// Capability of the key: read, send or manage; repeatable
    #[arg(long = "capability", value_name = "CAPABILITY", required = true)]
    pub(crate) capabilities: Vec<String>,
    /// Expiry of the key: `90d`, `12h`, `30m`, or a time such as 2027-01-31T00:00:00Z
    /// [default: never]
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    /// Session that the key is confined to; repeatable [default: all sessions, future ones
    /// included]
    #[arg(long = "session", value_name = "SESSION")]
    pub(crate) sessions: Vec<String>,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// `berth key list`
#[derive(Debug, Args)]
pub(crate) struct ListKeys {
    /// Organization whose keys are listed
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// `berth key revoke`
#[derive(Debug, Args)]
pub(crate) struct RevokeKey {
    /// Organization of the key
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// Id of the key, `key_…`
    #[arg(value_name = "KEY_ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) database_location: DatabaseLocation,
}

/// The settings of `berth serve` that locate the database and configure the log.
#[derive(Debug, Args)]
pub(crate) struct DatabaseLocation {
    /// Path of a TOML file with berth's settings
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    config: Option<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    log: Logging,
}

impl From<DatabaseLocation> for Flags {
    fn from(database_location: DatabaseLocation) -> Self {
        let DatabaseLocation { config, database, log } = database_location;
        Self { config, settings: Settings { database, log, ..Settings::default() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn variables_of_the_program_are_known_by_name() {
        let command = Cli::command();
        let all = command.get_subcommands().flat_map(|command| {
            let nested = command.get_subcommands().flat_map(clap::Command::get_arguments);
            command.get_arguments().chain(nested)
        });
        let all = all.chain(command.get_arguments()).filter_map(|argument| argument.get_env());
        let read: std::collections::BTreeSet<_> = all.filter_map(|name| name.to_str()).collect();
        let known: std::collections::BTreeSet<_> =
            program_settings::ROUTER_VARIABLES.iter().copied().collect();
        assert_eq!(read, known);
    }

    #[test]
    fn serve_is_the_default_command() {
        let plain_error = Cli::parse_from(["berth", "--listen", "127.0.0.1:1"]);
        assert!(plain_error.command.is_none());
        assert_eq!(plain_error.serve.settings.listeners.listen.as_deref(), Some("127.0.0.1:1"));
        let named = Cli::parse_from(["berth", "serve", "--listen", "127.0.0.1:1"]);
        let Some(Command::Serve(flags)) = named.command else { panic!("not serve") };
        assert_eq!(flags.settings.listeners.listen.as_deref(), Some("127.0.0.1:1"));
    }
}

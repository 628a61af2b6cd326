//! The command line: `berth serve`, which is also what plain `berth` does, `berth key …` and others.

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use program_settings::Variables;

use crate::{
    invalid::Invalid,
    settings::{Database, Flags, Logging, Sealing, Settings},
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
    /// Create, list and revoke API keys; works while berth serves
    #[command(subcommand)]
    Key(KeyCommand),
    /// Show the seal keys, which protect secrets in the database
    #[command(subcommand)]
    Seal(SealCommand),
    /// List, adopt and unlink orphans: device keys on nodes without a session in the database
    #[command(subcommand)]
    Orphan(OrphanCommand),
    /// Erase an organization with everything that the database has of it
    #[command(subcommand)]
    Organization(OrganizationCommand),
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

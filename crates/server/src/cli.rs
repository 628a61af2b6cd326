//! The command line: `berth serve`, which is also what plain `berth` does, and `berth key …`.

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use program_settings::Variables;

use crate::{
    config::Invalid,
    settings::{Database, Flags, Logging, Settings},
};

/// WhatsApp sessions of many organizations behind one HTTP API.
///
/// Every setting can be given as a flag, as a variable and in a TOML file. Flags win, then
/// variables, then the file. A variable NAME can be given as `NAME_FILE`, the path of a file with the
/// value.
#[derive(Debug, Parser)]
#[command(name = "berth", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: Flags,
}

impl Cli {
    /// Reads the process's own command line and environment. Ends the process as `clap` does: with
    /// help, or for a flag that does not exist.
    pub(crate) fn read() -> Result<Self, Invalid> {
        let matches = Variables::of_process().fill(Self::command())?.get_matches();
        Ok(Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API; also what happens without a command
    Serve(Box<Flags>),
    /// Make, list and revoke API keys; works while berth serves
    #[command(subcommand)]
    Key(KeyCommand),
    /// List, adopt and unlink keys on nodes whose sessions the database does not know
    #[command(subcommand)]
    Orphan(OrphanCommand),
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, once: it cannot be shown again
    Create(CreateKey),
    /// List the keys that are not revoked, newest first
    List(ListKeys),
    /// End a key for good, at once
    Revoke(RevokeKey),
}

/// What to do with orphans: keys on nodes whose sessions the database does not know. They are left when
/// an old copy of the database, or of a node's folder, is restored.
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
    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// `berth orphan adopt` and `berth orphan unlink`
#[derive(Debug, Args)]
pub(crate) struct OneOrphan {
    /// The organization that gets it, or in whose events its end is told
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// The session's id on the node, `sess_…`
    #[arg(value_name = "SESSION")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// `berth key create`
#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// The organization it belongs to
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// What people call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What it can do: read, send or manage; repeatable
    #[arg(long = "capability", value_name = "CAPABILITY", required = true)]
    pub(crate) capabilities: Vec<String>,
    /// When it stops working: `90d`, `12h`, `30m`, or a moment such as 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_name = "WHEN")]
    pub(crate) expires: Option<String>,
    /// A session it is confined to; repeatable [default: all, also those to come]
    #[arg(long = "session", value_name = "SESSION")]
    pub(crate) sessions: Vec<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// `berth key list`
#[derive(Debug, Args)]
pub(crate) struct ListKeys {
    /// The organization
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// As JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// `berth key revoke`
#[derive(Debug, Args)]
pub(crate) struct RevokeKey {
    /// The organization it belongs to
    #[arg(long, value_name = "ORG")]
    pub(crate) org: String,
    /// Its public name, `key_…`
    #[arg(value_name = "KEY_ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where the keys are; the same settings as for `serve`.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// A TOML file with berth's settings
    #[arg(long, env = "BERTH_CONFIG", value_name = "PATH")]
    config: Option<String>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    log: Logging,
}

impl From<Place> for Flags {
    fn from(place: Place) -> Self {
        let Place { config, database, log } = place;
        Self { config, settings: Settings { database, log, ..Settings::default() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
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
    fn serve_is_what_happens_without_a_command() {
        let plain = Cli::parse_from(["berth", "--listen", "127.0.0.1:1"]);
        assert!(plain.command.is_none());
        assert_eq!(plain.serve.settings.listeners.listen.as_deref(), Some("127.0.0.1:1"));
        let named = Cli::parse_from(["berth", "serve", "--listen", "127.0.0.1:1"]);
        let Some(Command::Serve(flags)) = named.command else { panic!("not serve") };
        assert_eq!(flags.settings.listeners.listen.as_deref(), Some("127.0.0.1:1"));
    }
}

//! Completions of shells and man pages, made from the command line of a program.

use std::{fs, io, path::Path};

use clap::{Args, Command, Subcommand};
use clap_complete::Shell;

/// The commands that print documentation of the command line.
#[derive(Clone, Debug, Subcommand)]
pub enum GenerateCommand {
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write a man page for the program and each subcommand
    Man(ManPages),
}

/// `generate completions`
#[derive(Clone, Copy, Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `generate man`
#[derive(Clone, Debug, Args)]
pub struct ManPages {
    /// The folder for the pages, which exists
    #[arg(long, value_name = "FOLDER")]
    pub to: std::path::PathBuf,
}

impl GenerateCommand {
    /// Makes what the command names. `out` gets a completion script.
    ///
    /// # Errors
    /// When a page or `out` cannot be written.
    pub fn run(&self, command: Command, out: &mut dyn io::Write) -> io::Result<()> {
        match self {
            Self::Completions(Completions { shell }) => {
                let (mut command, name) = named(command);
                let mut script = Vec::new();
                clap_complete::generate(*shell, &mut command, name, &mut script);
                out.write_all(&script)
            }
            Self::Man(ManPages { to }) => {
                let (mut command, name) = named(command);
                command.build();
                write_pages(&command, &name, to)
            }
        }
    }
}

fn named(command: Command) -> (Command, String) {
    let name = command.get_name().to_owned();
    (command, name)
}

/// Writes `NAME.1`, and `NAME-SUBCOMMAND.1` for each subcommand that users see.
fn write_pages(command: &Command, name: &str, folder: &Path) -> io::Result<()> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(name.to_owned()).render(&mut page)?;
    fs::write(folder.join(format!("{name}.1")), page)?;
    for subcommand in command.get_subcommands() {
        if !subcommand.is_hide_set() && subcommand.get_name() != "help" {
            write_pages(subcommand, &format!("{name}-{}", subcommand.get_name()), folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn command() -> Command {
        let sub = Command::new("sub").about("Does it").arg(Arg::new("flag").long("flag"));
        Command::new("program").arg(Arg::new("port").long("port")).subcommand(sub)
    }

    #[test]
    fn completion_script_names_flags_and_subcommands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            let generate = GenerateCommand::Completions(Completions { shell });
            generate.run(command(), &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("port") && script.contains("sub"), "{shell}: {script}");
        }
    }

    #[test]
    fn every_subcommand_has_a_man_page() {
        let folder = tempfile::tempdir().unwrap();
        let generate = GenerateCommand::Man(ManPages { to: folder.path().to_owned() });
        generate.run(command(), &mut io::sink()).unwrap();
        let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("program.1").contains("port") && page("program-sub.1").contains("Does it"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

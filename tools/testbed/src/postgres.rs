//! A PostgreSQL server in a temporary folder.
//!
//! PostgreSQL does not run as root, so root runs the server as another user.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::{
    folder::{Folder, random_hex},
    ports,
    process::{self, Process},
    stack::contains,
    wait, workspace,
};

const USER: &str = "berth";
const START: Duration = Duration::from_secs(30);
/// Attempts with another port when the port is taken.
const TRIES: usize = 3;

/// A private server. Dropping the value stops the server and removes its files.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: the server ends before its folder is removed.
    server: Option<Process>,
    folder: Folder,
    bin: PathBuf,
    owner: Option<(u32, u32)>,
    port: u16,
    password: String,
    durable: bool,
}

impl Cluster {
    /// Starts a server without fsync. The data survives a kill, not a power failure.
    pub fn start() -> Result<Self> {
        Self::start_as(false)
    }

    /// Starts a server with fsync, as in production.
    pub fn start_durable() -> Result<Self> {
        Self::start_as(true)
    }

    fn start_as(durable: bool) -> Result<Self> {
        let bin = find_programs()?;
        let owner = if rustix::process::geteuid().is_root() { Some(lent_user()?) } else { None };
        let folder = Folder::new("postgres")?;
        let password = random_hex(16)?;
        let mut cluster = Self { server: None, folder, bin, owner, port: 0, password, durable };
        cluster.init()?;
        for _ in 0..TRIES {
            cluster.port = ports::free()?;
            match cluster.resume() {
                Ok(()) => return Ok(cluster),
                Err(error) => eprintln!("PostgreSQL did not start: {error:#}"),
            }
        }
        bail!("PostgreSQL does not start")
    }

    /// Returns whether a file of the server contains the bytes.
    pub fn has_written(&self, bytes: &[u8]) -> Result<bool> {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if contains(&fs::read(&path).unwrap_or_default(), bytes) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Creates a database and returns its URL.
    pub fn create_database(&self, name: &str) -> Result<String> {
        self.query("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(name))
    }

    /// Returns the path of a program of this PostgreSQL installation.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Freezes the server: connections stay open, and no statement is answered.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Resumes a frozen server.
    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let Some(server) = &self.server else { return };
        for pid in process::children(server.id(), "postgres").into_iter().chain([server.id()]) {
            process::signal(pid, signal);
        }
    }

    /// Stops the server; the data stays.
    pub fn stop(&mut self) -> Result<()> {
        match self.server.take() {
            Some(mut server) => server.stop().map(drop),
            None => Ok(()),
        }
    }

    /// Starts the server with the present data.
    pub fn resume(&mut self) -> Result<()> {
        let log = self.folder.path().join("log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=400",
            "log_min_messages=warning",
        ] {
            command.args(["-c", setting]);
        }
        if !self.durable {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let server = Process::spawn("PostgreSQL", &mut command, Some(&log))?;
        let mut server = server.ending_by(Signal::INT);
        wait::until("PostgreSQL answers", START, || {
            if server.must_run().is_err() {
                return Ok(Some(Err(server.must_run())));
            }
            Ok(self.query("postgres", "SELECT 1").ok().map(Ok))
        })?
        .or_else(|ended: Result<()>| ended)?;
        self.server = Some(server);
        Ok(())
    }

    /// Executes SQL in a database and discards the result.
    pub fn query(&self, database: &str, sql: &str) -> Result<()> {
        self.value(database, sql).map(drop)
    }

    /// Executes SQL in a database and returns the result as psql shows it, without a heading.
    pub fn value(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--dbname", &self.url(database)]);
        Ok(workspace::answer(psql.args(["--command", sql]))?.trim().to_owned())
    }

    fn init(&self) -> Result<()> {
        let password = self.folder.path().join("password");
        fs::write(&password, &self.password)?;
        if let Some((user, group)) = self.owner {
            for path in [self.folder.path(), &password] {
                chown(path, Some(user), Some(group))?;
            }
        }
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.data()).arg("--pwfile").arg(&password).args([
            "--no-sync",
            "--no-locale",
            "--encoding=UTF8",
            "--auth=password",
            "--username",
            USER,
        ]);
        workspace::answer(&mut initdb).map(drop)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns a command of this installation, run as the user of the server.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.thaw(); // a frozen server does not handle signals
    }
}

/// Returns the folder of `initdb`, `postgres` and `psql`: on the path, or in Debian's folder.
fn find_programs() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter_map(|folder| {
        let initdb = fs::canonicalize(folder.join("initdb")).ok()?;
        initdb.parent().map(Path::to_owned)
    });
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort_by_key(|bin: &PathBuf| {
        let version = bin.parent().and_then(|folder| folder.file_name()?.to_str());
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    });
    on_path
        .chain(debian)
        .find(|bin| ["initdb", "postgres", "psql"].iter().all(|name| bin.join(name).is_file()))
        .context("PostgreSQL is not installed: `apt-get install postgresql`, or put it on the PATH")
}

/// Returns user and group for the server when the tool runs as root.
fn lent_user() -> Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map_while(|id| id.parse().ok());
        Some((ids.next()?, ids.next()?))
    };
    find("postgres").or_else(|| find("nobody")).context("no user but root to run PostgreSQL as")
}

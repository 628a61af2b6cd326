//! Reads a unit of systemd, and starts its service as systemd does, as far as a test needs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use testbed::process::Process;

/// The user id that a dynamic user of the test gets.
const DYNAMIC_USER: u32 = 61_234;
/// Where the service finds the socket of the service manager.
pub(crate) const NOTIFY_SOCKET: &str = "/run/notify";
/// The time of the watchdog in microseconds.
const WATCHDOG: &str = "3000000";

/// A simulated WhatsApp, which the programs of tests ask for. No session of the test connects.
const WHATSAPP: &str = "ws://127.0.0.1:9/ws/chat";

/// The section `[Service]` of a unit in a root folder, for one instance.
#[derive(Debug)]
pub(crate) struct Unit {
    root: PathBuf,
    settings: Vec<(String, String)>,
}

impl Unit {
    /// Reads a unit of a package, with `instance` as the text after `@`.
    pub(crate) fn read(root: &Path, name: &str, instance: &str) -> Result<Self> {
        let path = root.join("usr/lib/systemd/system").join(name);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let expanded = text
            .replace("%i", instance)
            .replace("%S", "/var/lib")
            .replace("%d", "/run/credentials");
        let section = expanded.split("[Service]").nth(1).context("the unit has no service")?;
        let section = section.split("\n[").next().unwrap_or_default();
        let lines = section.lines().filter(|line| !line.starts_with('#'));
        let settings = lines.filter_map(|line| line.split_once('='));
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self { root: root.to_owned(), settings: settings.collect() })
    }

    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.settings.iter().filter(move |(setting, _)| setting == name);
        named.map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &str) -> Result<&str> {
        self.all(name).last().with_context(|| format!("the unit has no {name}"))
    }

    /// Returns the user and group ids of the service.
    pub(crate) fn owner(&self) -> Result<(u32, u32)> {
        if self.all("DynamicUser").last() == Some("yes") {
            return Ok((DYNAMIC_USER, DYNAMIC_USER));
        }
        let users = fs::read_to_string(self.root.join("etc/passwd"))?;
        let start = format!("{}:", self.one("User")?);
        let user = users.lines().find(|line| line.starts_with(&start)).context("no such user")?;
        let mut ids = user.split(':').skip(2).map(str::parse);
        let (Some(Ok(user)), Some(Ok(group))) = (ids.next(), ids.next()) else {
            anyhow::bail!("the user has no ids: {user}")
        };
        Ok((user, group))
    }

    /// Returns the folder of the service's data.
    pub(crate) fn state_folder(&self) -> Result<PathBuf> {
        Ok(self.root.join("var/lib").join(self.one("StateDirectory")?))
    }

    /// Starts the service in the root folder, with its state folder, credentials and environment.
    pub(crate) fn start(&self, name: &str, log: &Path) -> Result<Process> {
        ensure!(self.one("Type")? == "notify", "the unit does not wait for readiness");
        ensure!(self.one("WatchdogSec")? == "30", "the unit has no watchdog");
        let (user, group) = self.owner()?;
        let state = self.state_folder()?;
        fs::create_dir_all(&state)?;
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700))?;
        chown(&state, Some(user), Some(group))?;
        self.provide_credentials(user)?;
        let mut command = Command::new("setpriv");
        command.args(["--no-new-privs", "unshare", "--root"]).arg(&self.root);
        command.args(["--wd", self.one("WorkingDirectory")?]);
        command.arg("--setgid").arg(group.to_string()).arg("--setuid").arg(user.to_string());
        command.arg("--").args(self.one("ExecStart")?.split_whitespace());
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("NOTIFY_SOCKET", NOTIFY_SOCKET);
        command.env("WATCHDOG_USEC", WATCHDOG).env("BERTH_WHATSAPP_URL", WHATSAPP);
        command.envs(self.all("Environment").filter_map(|pair| pair.split_once('=')));
        for file in self.all("EnvironmentFile") {
            let path = self.root.join(file.trim_start_matches(['-', '/']));
            let text = match fs::read_to_string(&path) {
                Err(_) if file.starts_with('-') => String::new(),
                read => read.with_context(|| path.display().to_string())?,
            };
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            command.envs(lines.filter_map(|line| line.split_once('=')));
        }
        Process::spawn(name, &mut command, Some(log))
    }

    /// Copies the files of the credentials to where the service alone reads them.
    fn provide_credentials(&self, user: u32) -> Result<()> {
        let folder = self.root.join("run/credentials");
        fs::create_dir_all(&folder)?;
        for credential in self.all("LoadCredential") {
            let (name, source) = credential.split_once(':').context("a credential has a path")?;
            let source = self.root.join(source.trim_start_matches('/'));
            fs::copy(&source, folder.join(name)).with_context(|| source.display().to_string())?;
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o400))?;
            chown(folder.join(name), Some(user), None)?;
        }
        Ok(())
    }
}

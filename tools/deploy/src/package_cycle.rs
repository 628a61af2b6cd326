//! Installs, runs, upgrades and removes the packages on a copy of this machine that ends with the process.
//!
//! The copy is an overlay of the root folder in memory. The process is in namespaces of its own.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::json;
use testbed::{
    client::{Api, Credential},
    process::{self, Process},
    wait, workspace,
};

use crate::{
    notify_socket::NotifySocket,
    package::PACKAGES,
    packages::VERSIONS,
    unit::{NOTIFY_SOCKET, Unit},
};

const MOUNT: &str = r#"set -e
ip link set lo up
mount -t tmpfs none "$1"
mkdir "$1/changes" "$1/work" "$1/system"
mount -t overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" none "$1/system"
mount -t proc proc "$1/system/proc"
mount --rbind /dev "$1/system/dev"
mount -t tmpfs none "$1/system/run"
mkdir "$1/system/mnt/packages"
mount --bind "$2" "$1/system/mnt/packages"
"#;
const PATIENCE: Duration = Duration::from_secs(60);
const CONFIG: &str = "etc/berth/berth.toml";
const DATABASE: &str = "var/lib/berth/berth.db";
/// A change of an operator in the configuration file.
const REMARK: &str = "\n# a remark of the operator\n";
const NODE: &str = "gw-1";

/// Runs the whole cycle of the packages in a folder.
pub(crate) fn run(folder: &Path) -> Result<()> {
    let system = SystemCopy::start(folder)?;
    system.dpkg("--install", VERSIONS[0])?;
    system.must_be_installed_and_idle()?;
    let key = system.serve(None).context("the first start")?;
    system.run_node()?;

    let config = system.path(CONFIG);
    let text = fs::read_to_string(&config)? + REMARK;
    fs::write(&config, &text)?;
    system.dpkg("--install", VERSIONS[1])?;
    ensure!(fs::read_to_string(&config)? == text, "the upgrade changed the configuration");
    system.serve(Some(&key)).context("the start after the upgrade")?;

    system.dpkg("--remove", "")?;
    for program in PACKAGES {
        ensure!(!system.path("usr/bin").join(program).exists(), "{program} was not removed");
    }
    ensure!(config.is_file(), "a removal deleted the configuration");
    system.dpkg("--purge", "")?;
    ensure!(!config.exists(), "a purge left the configuration");
    for data in [DATABASE, "var/lib/berth-gateway/gw-1/keys.db"] {
        ensure!(system.path(data).is_file(), "a purge deleted {data}");
    }
    Ok(())
}

/// The copy of this machine.
struct SystemCopy {
    root: PathBuf,
    logs: PathBuf,
}

impl SystemCopy {
    fn start(folder: &Path) -> Result<Self> {
        let place = folder.join("machine");
        fs::create_dir(&place)?;
        let mut mount = Command::new("sh");
        workspace::answer(mount.args(["-c", MOUNT, "mount"]).arg(&place).arg(folder))?;
        Ok(Self { root: place.join("system"), logs: folder.to_owned() })
    }

    fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.root).arg(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BERTH_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs `dpkg` on both packages, of this version where files are installed.
    fn dpkg(&self, action: &str, version: &str) -> Result<()> {
        let mut dpkg = self.command("dpkg");
        dpkg.arg(action).env("DEBIAN_FRONTEND", "noninteractive");
        for name in PACKAGES {
            if action == "--install" {
                let start = format!("{name}_{version}_");
                let mut files = fs::read_dir(self.path("mnt/packages"))?.flatten();
                let file =
                    files.find(|file| file.file_name().to_string_lossy().starts_with(&start));
                let file = file.with_context(|| format!("no package {start}"))?.file_name();
                dpkg.arg(Path::new("/mnt/packages").join(file));
            } else {
                dpkg.arg(name);
            }
        }
        workspace::answer(&mut dpkg).map(drop)
    }

    fn must_be_installed_and_idle(&self) -> Result<()> {
        for program in PACKAGES {
            let file = self.path("usr/bin").join(program);
            let metadata = fs::metadata(&file).with_context(|| file.display().to_string())?;
            ensure!((metadata.uid(), metadata.mode() & 0o7777) == (0, 0o755), "{metadata:?}");
            let licence = self.path("usr/share/doc").join(program).join("copyright");
            ensure!(licence.is_file(), "no {}", licence.display());
        }
        let units = [
            "/usr/lib/systemd/system/berth.service",
            "/usr/lib/systemd/system/berth-gateway@.service",
        ];
        workspace::answer(
            self.command("systemd-analyze").args(["verify", "--man=no"]).args(units),
        )?;
        for folder in ["etc/systemd/system", "etc/systemd/system/multi-user.target.wants"] {
            let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
            let enabled = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
            let enabled: Vec<_> = enabled.filter(|name| name.starts_with("berth")).collect();
            ensure!(enabled.is_empty(), "the installation enabled {enabled:?}");
        }
        Ok(())
    }

    /// Starts the router, uses the API, and stops the router. Returns the key.
    fn serve(&self, key: Option<&Credential>) -> Result<Credential> {
        let unit = Unit::read(&self.root, "berth.service", "")?;
        let mut socket = NotifySocket::bind(&self.path(NOTIFY_SOCKET.trim_start_matches('/')))?;
        let mut berth = unit.start("berth", &self.logs.join("berth.log"))?;
        let ready = socket.until("READY=1", PATIENCE);
        ready.with_context(|| berth.tail(20))?;
        let key = match key {
            Some(key) => key.clone(),
            None => self.key()?,
        };
        let api = Api::new("http://127.0.0.1:8080", Some(key.clone()));
        api.post("/api/v1/sessions", &json!({}))?.expect(201)?;
        ensure!(socket.until("STATUS=serving", PATIENCE)? == "STATUS=serving", "not serving");
        socket.clear()?;
        socket.until("WATCHDOG=1", PATIENCE).context("the watchdog gets no report")?;
        process::signal(berth.id(), Signal::TERM);
        socket.until("STOPPING=1", PATIENCE)?;
        must_end(&mut berth)?;
        let owner = fs::metadata(self.path(DATABASE))?.uid();
        ensure!(owner == unit.owner()?.0, "the database belongs to {owner}");
        Ok(key)
    }

    /// Creates a key as root, while berth serves.
    fn key(&self) -> Result<Credential> {
        let mut create = self.command("/usr/bin/berth");
        create.args(["key", "create", "--config", "/etc/berth/berth.toml"]);
        create.args(["--org", "acme", "--name", "first", "--capability", "manage"]);
        Ok(Credential::Key(workspace::answer(&mut create)?.trim().to_owned()))
    }

    /// Starts a node without a router, and stops the node.
    fn run_node(&self) -> Result<()> {
        let settings = self.path("usr/share/doc/berth-gateway/gateway.env");
        fs::copy(settings, self.path("etc/berth/gw-1.env"))?;
        fs::write(self.path("etc/berth/gw-1.token"), "0123456789abcdef0123456789abcdef\n")?;
        let unit = Unit::read(&self.root, "berth-gateway@.service", NODE)?;
        let mut socket = NotifySocket::bind(&self.path(NOTIFY_SOCKET.trim_start_matches('/')))?;
        let mut node = unit.start("berth-gateway", &self.logs.join("berth-gateway.log"))?;
        let ready = socket.until("READY=1", PATIENCE);
        ready.with_context(|| node.tail(20))?;
        socket.until("STATUS=0 sessions, 0 working", PATIENCE)?;
        socket.until("WATCHDOG=1", PATIENCE)?;
        process::signal(node.id(), Signal::TERM);
        socket.until("STOPPING=1", PATIENCE)?;
        must_end(&mut node)
    }
}

/// Waits for the end of a program after the stop signal.
fn must_end(program: &mut Process) -> Result<()> {
    wait::until_true("the program ends", PATIENCE, || Ok(program.ended()?.is_some()))?;
    let status = program.wait()?;
    ensure!(status.success(), "the program ended with {status}:\n{}", program.tail(20));
    Ok(())
}

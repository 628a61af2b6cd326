//! Runs an image as a container runtime does: read-only root, an unprivileged user, and the program as
//! the first process of its own namespace. The network is that of the machine.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use testbed::{
    folder::Folder,
    process::{self, Process},
    programs::Programs,
    wait,
    workspace::{self, Workspace},
};

use crate::{base, dockerfile::ImageConfig};

/// Mounts the volume `$2`, the secrets `$3`, devices and processes into the root `$1`, makes the root
/// read-only, and runs the rest in the folder `$6` as the user `$4`. `$5` tells whether the process list
/// is a new one.
const SETUP: &str = r#"set -e
root=$1 data=$2 secrets=$3 user=$4 processes=$5 folder=$6
shift 6
mount --bind "$root" "$root"
mount --bind "$data" "$root/data"
mount --bind "$secrets" "$root/run/secrets"
mount -o remount,bind,ro "$root/run/secrets"
mount -t tmpfs -o size=64k,mode=755 none "$root/dev"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
if [ "$processes" = new ]; then mount -t proc proc "$root/proc"; else mount --rbind /proc "$root/proc"; fi
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs unshare --root "$root" --wd "$folder" --setgid "${user#*:}" --setuid "${user%:*}" -- "$@"
"#;
const GONE: std::time::Duration = std::time::Duration::from_secs(20);

/// The file tree of an image with its configuration.
#[derive(Debug)]
pub(crate) struct Image {
    folder: Folder,
    pub(crate) config: ImageConfig,
}

impl Image {
    /// Makes the tree of a target of the Dockerfile from programs that are built.
    pub(crate) fn make(
        workspace: &Workspace,
        programs: &Programs,
        target: &str,
        config: &ImageConfig,
    ) -> Result<Self> {
        let folder = Folder::new("image")?;
        let root = folder.path().join("root");
        for (owner, source, destination) in &config.copies {
            let number = owner.split(':').next().unwrap_or_default();
            ensure!(
                *source == format!("/trees/{target}/{number}/") && destination == "/",
                "{target} copies {source} to {destination}"
            );
            let mut script = Command::new(workspace.root.join("deploy/tree.sh"));
            script.arg(target).arg(programs.folder()).arg(&root).arg(owner);
            workspace::answer(&mut script)?;
        }
        let bin = fs::read_dir(root.join("usr/bin"))?;
        let programs = bin.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        base::add(&root, &programs)?;
        Ok(Self { folder, config: config.clone() })
    }

    /// Returns the root folder of the tree.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

/// The volume, secrets and variables with which an image runs.
#[derive(Debug)]
pub(crate) struct Run {
    folder: Folder,
    pub(crate) settings: Vec<(&'static str, String)>,
}

impl Run {
    /// Creates an empty volume with the owner and mode that the image gives to `/data`.
    pub(crate) fn new(image: &Image, settings: Vec<(&'static str, String)>) -> Result<Self> {
        let folder = Folder::new("volume")?;
        let (data, secrets) = (folder.path().join("data"), folder.path().join("secrets"));
        fs::create_dir(&data)?;
        fs::create_dir(secrets)?;
        let origin = fs::metadata(image.root().join("data"))?;
        let owner = std::os::unix::fs::MetadataExt::uid(&origin);
        let group = std::os::unix::fs::MetadataExt::gid(&origin);
        chown(&data, Some(owner), Some(group))?;
        fs::set_permissions(&data, origin.permissions())?;
        Ok(Self { folder, settings })
    }

    /// Returns the folder behind `/data`.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Writes a secret, which the program reads as `/run/secrets/NAME`.
    pub(crate) fn add_secret(&self, name: &str, text: &str) -> Result<()> {
        Ok(fs::write(self.folder.path().join("secrets").join(name), text)?)
    }

    /// Returns the command that starts the image's program with these arguments.
    fn command(&self, image: &Image, arguments: &[&str], own_processes: bool) -> Command {
        let config = &image.config;
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if own_processes {
            command.args(["--pid", "--fork", "--kill-child"]);
        }
        command.args(["--", "sh", "-c", SETUP, "container"]);
        command.arg(image.root()).arg(self.data()).arg(self.folder.path().join("secrets"));
        command.arg(&config.user).arg(if own_processes { "new" } else { "same" });
        command.arg(&config.folder).args(&config.entrypoint).args(arguments);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
        command.envs(config.environment.iter().map(|(name, value)| (name, value)));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program once beside a running container, as `docker exec` does, and returns the output.
    pub(crate) fn output(&self, image: &Image, arguments: &[&str]) -> Result<String> {
        workspace::answer(&mut self.command(image, arguments, false))
    }
}

/// A running container. Dropping the value ends the container.
#[derive(Debug)]
pub(crate) struct Container {
    process: Process,
    program: String,
    stop_signal: Signal,
    own_processes: bool,
}

impl Container {
    /// Starts the program of an image. With `own_processes`, the program has the process id 1.
    pub(crate) fn start(image: &Image, run: &Run, log: &Path, own_processes: bool) -> Result<Self> {
        let config = &image.config;
        let arguments: Vec<_> = config.command.iter().map(String::as_str).collect();
        let mut command = run.command(image, &arguments, own_processes);
        let program = config.entrypoint.first().context("the image has a program")?;
        let program = program.rsplit('/').next().unwrap_or_default().to_owned();
        ensure!(config.stop_signal == "SIGTERM", "stopped by {}", config.stop_signal);
        let process = Process::spawn(&program, &mut command, Some(log))?;
        // The process that waits for a namespace passes no other signal on.
        let process = if own_processes { process.ending_by(Signal::KILL) } else { process };
        Ok(Self { process, program, stop_signal: Signal::TERM, own_processes })
    }

    /// Returns an error with the end of the log when the program has ended.
    pub(crate) fn must_run(&mut self) -> Result<()> {
        self.process.must_run()
    }

    /// Returns the process id of the program in the namespace of the machine.
    pub(crate) fn program_id(&self) -> Result<u32> {
        if !self.own_processes {
            return Ok(self.process.id()); // every step of the start replaces the one before
        }
        let children = process::children(self.process.id(), &self.program);
        children.first().copied().context("the program does not run")
    }

    /// Returns the process ids of the program's children of this name.
    pub(crate) fn children(&self, name: &str) -> Result<Vec<u32>> {
        Ok(process::children(self.program_id()?, name))
    }

    /// Sends the stop signal of the image, and waits until the program has ended with success and no
    /// process of these is left.
    pub(crate) fn stop(&mut self, others: &[u32]) -> Result<()> {
        process::signal(self.program_id()?, self.stop_signal);
        wait::until_true("the program ends after the stop signal", GONE, || {
            Ok(self.process.ended()?.is_some())
        })?;
        let status = self.process.wait()?;
        ensure!(
            status.success(),
            "{} ended with {status}:\n{}",
            self.program,
            self.process.tail(20)
        );
        let left = others.iter().find(|pid| Path::new(&format!("/proc/{pid}")).exists());
        ensure!(left.is_none(), "the process {left:?} outlived {}", self.program);
        Ok(())
    }
}

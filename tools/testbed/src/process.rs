//! A child process that does not outlive its owner.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit,
};

use crate::interrupt;

/// Time for a child to end after the signal; then SIGKILL.
const GRACE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// A running program in a process group of its own. Dropping the value ends the whole group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    ending: Signal,
    log: Option<PathBuf>,
}

impl Process {
    /// Starts a program. With a log, both outputs are appended to the log; without, they are
    /// inherited.
    pub fn spawn(name: &str, command: &mut Command, log: Option<&Path>) -> Result<Self> {
        command.process_group(0).stdin(Stdio::null());
        if let Some(log) = log {
            let file = File::options().create(true).append(true).open(log)?;
            command.stdout(file.try_clone()?).stderr(file);
        }
        let child = command.spawn().with_context(|| {
            format!("{name} cannot be started: {}", command.get_program().display())
        })?;
        let ending = Signal::TERM;
        interrupt::remember_child(child.id(), ending);
        Ok(Self { name: name.to_owned(), child, ending, log: log.map(Path::to_owned) })
    }

    /// Uses this signal instead of SIGTERM to end the program.
    #[must_use]
    pub fn ending_by(mut self, signal: Signal) -> Self {
        self.ending = signal;
        interrupt::remember_child(self.child.id(), signal);
        self
    }

    /// Sends the signals of an interrupt to the whole process group.
    #[must_use]
    pub fn signalled_as_group(self) -> Self {
        interrupt::signal_group(self.child.id());
        self
    }

    /// Returns the outputs when they are piped; later calls return `None`.
    pub fn outputs(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the exit status when the program has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Returns an error with the end of the log when the program has ended.
    pub fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.tail(20)),
        }
    }

    /// Waits for the end of the program.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait()?;
        interrupt::forget_child(self.child.id());
        Ok(status)
    }

    /// Sends SIGKILL and waits for the end. The children of the program continue.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.wait().map(drop)
    }

    /// Sends the ending signal and waits; kills the program when it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            signal(self.child.id(), self.ending);
        }
        let patience = Instant::now() + GRACE;
        while Instant::now() < patience {
            if let Some(status) = self.ended()? {
                interrupt::forget_child(self.child.id());
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.child.kill()?;
        self.wait()?;
        bail!("{} had to be killed {} s after the signal", self.name, GRACE.as_secs())
    }

    /// Returns the last lines of the log.
    pub fn tail(&self, lines: usize) -> String {
        let text = self.log.as_ref().map(fs::read).and_then(Result::ok).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.ended(), Ok(None))
            && let Err(error) = self.stop()
        {
            eprintln!("{error:#}");
        }
        interrupt::forget_child(self.child.id());
        // The group holds the children that the program did not end.
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Raises the limit of open files to the hard limit, for this process and its children. The usual
/// 1,024 are not enough for thousands of connections.
pub fn allow_connections() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .context("the limit of open files")
}

/// Sends a signal; a missing process is ignored.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, signal);
    }
}

/// Returns the children of a process that run the program of this name.
pub fn children(parent: u32, program: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| lineage(*pid).is_some_and(|(p, name)| p == parent && name == program))
        .collect()
}

/// Returns whether this process runs this program; a zombie does not run.
pub fn runs(pid: u32, program: &str) -> bool {
    lineage(pid).is_some_and(|(_, name)| name == program)
}

/// Returns the parent and the program's name of a process that is not a zombie.
fn lineage(pid: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some((parent, name))
}

//! A child that never outlives its owner.

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

/// How long a child may take to end when asked to.
const GRACE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// A running program, in a process group of its own. Dropping it ends it, and whatever it left behind.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    ending: Signal,
    log: Option<PathBuf>,
}

impl Process {
    /// Starts it. With a log, both outputs are appended there, else they are ours.
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

    /// Ends by this signal instead of SIGTERM.
    #[must_use]
    pub fn ending_by(mut self, signal: Signal) -> Self {
        self.ending = signal;
        interrupt::remember_child(self.child.id(), signal);
        self
    }

    /// Its outputs, if they were piped and not taken yet.
    pub fn outputs(&mut self) -> Option<(ChildStdout, ChildStderr)> {
        Some((self.child.stdout.take()?, self.child.stderr.take()?))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error with the end of its log, when it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.tail(20)),
        }
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait()?;
        interrupt::forget_child(self.child.id());
        Ok(status)
    }

    /// SIGKILL, and gone when this returns. Its own children are left as they are.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.wait().map(drop)
    }

    /// Asks it to end and waits; kills it when it takes too long.
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
        bail!("{} had to be killed, {} s after it was asked to end", self.name, GRACE.as_secs())
    }

    /// The last lines of its log.
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
        // Whatever it started and did not end itself is in its group.
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Allows this process, and what it starts, as many open files as the system permits: the usual 1,024
/// are not enough for either side of thousands of connections.
pub fn allow_connections() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .context("the limit of open files")
}

/// Sends a signal; a process that is gone does not mind.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, signal);
    }
}

/// The children of a process whose program has this name.
pub fn children(parent: u32, program: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| lineage(*pid).is_some_and(|(p, name)| p == parent && name == program))
        .collect()
}

/// Whether a process of this id and program runs (a zombie does not).
pub fn runs(pid: u32, program: &str) -> bool {
    lineage(pid).is_some_and(|(_, name)| name == program)
}

/// The parent and the program's name, of a process that is not a zombie.
fn lineage(pid: u32) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some((parent, name))
}

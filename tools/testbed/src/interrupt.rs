//! Ctrl-C and SIGTERM: every child ends, and every temporary folder is removed.
//!
//! Children run in process groups of their own. A terminal sends Ctrl-C to this program only, so
//! each child gets one signal.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

static CHILDREN: Mutex<BTreeMap<i32, Signal>> = Mutex::new(BTreeMap::new());
/// Children whose whole process group gets the signal.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static FOLDERS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
static PASSED_ON: AtomicBool = AtomicBool::new(false);

/// Time for children to end after the signal; then SIGKILL.
const GRACE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);
/// Exit code of a program that Ctrl-C ends, as shells report it.
const INTERRUPTED: i32 = 130;

/// Starts a thread that handles SIGINT and SIGTERM.
pub fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            tell_children(signal);
            if !PASSED_ON.load(Ordering::SeqCst) {
                clean_up();
                std::process::exit(INTERRUPTED);
            }
        }
    });
    Ok(())
}

/// Only forwards signals to the children from now on. This program ends when its children have
/// ended.
pub fn pass_on() {
    PASSED_ON.store(true, Ordering::SeqCst);
}

/// Registers a child with the signal that ends it.
pub fn remember_child(pid: u32, ending: Signal) {
    lock(&CHILDREN).insert(pid.cast_signed(), ending);
}

/// Sends signals to the whole process group of a child from now on, as a terminal does. For children
/// that do not forward signals, as cargo.
pub fn signal_group(pid: u32) {
    lock(&GROUPS).insert(pid.cast_signed());
}

/// Removes a child that has ended.
pub fn forget_child(pid: u32) {
    lock(&CHILDREN).remove(&pid.cast_signed());
    lock(&GROUPS).remove(&pid.cast_signed());
}

/// Registers a folder for removal.
pub fn remember_folder(path: &Path) {
    lock(&FOLDERS).insert(path.to_owned());
}

/// Removes a folder from the register after its removal.
pub fn forget_folder(path: &Path) {
    lock(&FOLDERS).remove(path);
}

fn tell_children(signal: i32) {
    let passed_on = PASSED_ON.load(Ordering::SeqCst);
    let same = if signal == SIGINT { Signal::INT } else { Signal::TERM };
    let groups = lock(&GROUPS).clone();
    for (number, ending) in lock(&CHILDREN).iter() {
        let Some(pid) = Pid::from_raw(*number) else { continue };
        let signal = if passed_on { same } else { *ending };
        let kill = if groups.contains(number) { kill_process_group } else { kill_process };
        let _ = kill(pid, signal);
    }
}

fn clean_up() {
    let children: Vec<i32> = lock(&CHILDREN).keys().copied().collect();
    let groups = lock(&GROUPS).clone();
    for _ in 0..GRACE.as_millis() / POLL.as_millis() {
        if children.iter().all(|pid| has_ended(*pid))
            && groups.iter().all(|pid| group_has_ended(*pid))
        {
            break;
        }
        thread::sleep(POLL);
    }
    for pid in children.into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    for folder in lock(&FOLDERS).iter() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn group_has_ended(pid: i32) -> bool {
    Pid::from_raw(pid).is_none_or(|pid| test_kill_process_group(pid).is_err())
}

/// Returns whether a process is gone or a zombie.
fn has_ended(pid: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => Path::new("/proc/self/stat").exists(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The memory of both programs and the disk of a node: idle, and with linked sessions without
//! messages.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use testbed::{resident::Resident, sessions::PATIENCE, stack::Stack, wait};

use crate::{
    Setup,
    aim::Aim,
    chapter::{Chapter, Table},
    linked_sessions::LinkedSessions,
    loaded_memory::LoadedMemory,
    spread::{float, number},
};

const SESSIONS: usize = 100;
/// Number of sessions that link at the same time.
const SIDE_BY_SIDE: usize = 8;

/// Target of the memory of an idle `berth`, in kB.
const IDLE: Aim = Aim::AtMost(20.0 * 1024.0);

/// The memory of both programs at a moment.
#[derive(Clone, Copy, Debug)]
struct Pair {
    berth: Resident,
    gateway: Resident,
}

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    // Alone: a second `berth` would halve the proportional figures.
    let loaded_memory = LoadedMemory::read(setup)?;
    let mut stack = Stack::start(&setup.programs, "bench-memory", setup.scratch.path(), None, &[])?;
    let idle = Pair::settled(&stack)?;
    println!("  linking {SESSIONS} sessions");
    let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
    let began = Instant::now();
    let linked_sessions = LinkedSessions::link(&stack, &api, SESSIONS, SIDE_BY_SIDE, PATIENCE)
        .with_context(|| stack.tail())?;
    let linking = began.elapsed();
    let linked = Pair::settled(&stack)?;
    let disk = Disk::of(&stack.node_disk())?;
    println!("  restarting with the sessions");
    stack.stop_berth()?;
    let began = Instant::now();
    stack.start_berth()?;
    linked_sessions.until_connected(PATIENCE)?;
    let back = began.elapsed();
    let anew = Pair::settled(&stack)?;
    let mut chapter = chapter(&idle, &linked, &anew, &disk, [linking, back]);
    for (moment, held) in loaded_memory.moments() {
        chapter.table.row(row(format!("berth, {moment}"), held));
    }
    chapter.findings.extend(loaded_memory.findings());
    Ok(chapter)
}

impl Pair {
    fn settled(stack: &Stack) -> Result<Self> {
        let gateway = wait::until("berth has its gateway", PATIENCE, || Ok(stack.gateway().pop()))?;
        let berth = stack.berth_id().context("berth does not run")?;
        Ok(Self { gateway: Resident::settled(gateway)?, berth: Resident::settled(berth)? })
    }
}

/// The content of a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) files: u64,
    bytes: u64,
    /// Bytes in whole blocks.
    pub(crate) taken: u64,
}

impl Disk {
    /// Adds up a folder and its sub-folders.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let (mut disk, mut folders) = (Self::default(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let entry = entry?;
                let about = entry.metadata()?;
                if about.is_dir() {
                    folders.push(entry.path());
                } else {
                    disk.files += 1;
                    disk.bytes += about.len();
                    // stat(2) counts blocks of 512 bytes on every disk
                    disk.taken += about.blocks() * 512;
                }
            }
        }
        Ok(disk)
    }
}

fn chapter(idle: &Pair, linked: &Pair, anew: &Pair, disk: &Disk, took: [Duration; 2]) -> Chapter {
    let mut table = Table::new(["kB in memory", "resident", "proportional", "anonymous", "peak"]);
    let many = format!("{SESSIONS} linked");
    let again = format!("{SESSIONS} linked, after a restart");
    for (state, pair) in [("idle", idle), (&many, linked), (&again, anew)] {
        for (program, held) in [("berth", pair.berth), ("berth-gateway", pair.gateway)] {
            table.row(row(format!("{program}, {state}"), held));
        }
    }
    let findings = findings(idle, linked, anew, disk, took);
    Chapter { title: "Memory", method: method(), table, findings, broken: Vec::new() }
}

fn row(name: String, held: Resident) -> [String; 5] {
    let figures = [held.all, held.proportional, held.anonymous, held.peak];
    let [all, proportional, anonymous, peak] = figures.map(|kb| number(float(kb), 0));
    [name, all, proportional, anonymous, peak]
}

fn findings(
    idle: &Pair,
    linked: &Pair,
    anew: &Pair,
    disk: &Disk,
    took: [Duration; 2],
) -> Vec<String> {
    let sessions = float(SESSIONS as u64);
    let each = |more: &Pair, held: fn(&Resident) -> u64| {
        number((float(held(&more.gateway)) - float(held(&idle.gateway))) / sessions, 0)
    };
    let share = |bytes: u64| number(float(bytes) / sessions / 1024.0, 0);
    let [linking, back] = took.map(|took| number(took.as_secs_f64(), 1));
    let alone = float(idle.berth.all);
    vec![
        IDLE.judge(alone, &format!("An idle `berth` uses {} kB", number(alone, 0)), 0),
        format!(
            "A linked session costs the gateway {} kB resident ({} kB anonymous) after linking, and \
             {} kB ({} kB) after a restart.",
            each(linked, |held| held.all),
            each(linked, |held| held.anonymous),
            each(anew, |held| held.all),
            each(anew, |held| held.anonymous),
        ),
        format!(
            "Its keys use {} kB on disk ({} kB in blocks); all sessions share {} files with {} bytes.",
            share(disk.bytes),
            share(disk.taken),
            disk.files,
            number(float(disk.bytes), 0)
        ),
        format!(
            "Linking all of them took {linking} s, {SIDE_BY_SIDE} at a time; after a restart all were \
             connected again {back} s after the start of `berth`."
        ),
    ]
}

fn method() -> String {
    format!(
        "Both programs on SQLite, the gateway built with `sim` and connected to a simulated \
         WhatsApp. *Idle* is the state after the start. Then {SESSIONS} sessions are created and \
         linked over the API, each to a phone of its own. Then `berth` is stopped and started, \
         which removes the memory that linking left behind. Each figure is read when it no longer \
         changes. *Resident* counts shared pages fully, *proportional* divides them among their \
         processes, *anonymous* is the program's own data, and *peak* is the maximum of the \
         resident memory so far. The last rows are of another `berth` without a node: for ten \
         seconds each connection repeats a `GET` of a session; then other connections wait for QR \
         codes that do not come; each time the memory is read again after the connections have \
         closed."
    )
}

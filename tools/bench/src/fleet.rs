//! One node with many linked sessions: the memory of a session, the recovery after a kill, and the
//! effect of many simultaneous links on other requests.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testbed::{
    client::Api,
    resident::Resident,
    sessions::PATIENCE,
    stack::{Stack, Victim},
};

use crate::{
    Setup,
    aim::Aim,
    chapter::{Chapter, Table},
    large_node,
    linked_sessions::{LinkedSessions, until_working},
    memory::Disk,
    spread::{float, number},
    storm::{self, Storms},
};

/// Number of sessions that link at the same time, which is the limit of a node.
const SIDE_BY_SIDE: usize = 32;
/// Target of the memory of a session with its keys on disk, in kB.
const HELD: f64 = 250.0;
/// Target of the recovery of a thousand sessions, in seconds.
const BACK: f64 = 5.0;
/// Upper bound of the wait for the links, for each session; not a guarantee.
const LINKING: Duration = Duration::from_millis(500);

/// The memory of a node before and after the links.
#[derive(Clone, Copy, Debug)]
struct Linked {
    idle: Resident,
    full: Resident,
    took: Duration,
}

/// The recovery of a node after a kill.
#[derive(Clone, Copy, Debug)]
struct Back {
    name: &'static str,
    took: Duration,
    held: Resident,
}

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let count = setup.size.sessions.unwrap_or(1000);
    ensure!(count > 0, "no sessions, no figures");
    let storms = storm::measure(setup).context("simultaneous links")?;
    println!("  linking {count} sessions, keys on disk");
    let mut stack = large_node::start(setup, "bench-fleet", count, &[])?;
    let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
    let (linked_sessions, on_disk) = link(&stack, &api, count)?;
    let disk = Disk::of(&stack.node_disk())?;
    let mut backs = Vec::new();
    for (name, victim) in [("gateway killed", Victim::Gateway), ("both killed", Victim::Both)] {
        println!("  {name}");
        backs.push(Back::after(name, victim, &mut stack, &api, &linked_sessions)?);
    }
    drop((linked_sessions, stack));
    println!("  linking {count} sessions, keys in memory");
    let in_memory = [("BERTH_GATEWAY_KEYS_IN_MEMORY", "true".to_owned())];
    let stack = large_node::start(setup, "bench-fleet-memory", count, &in_memory)?;
    let api = stack.api.with_credential(Some(stack.key("bench", &["manage"])?));
    let (_, in_memory) = link(&stack, &api, count)?;
    Figures { count, on_disk, in_memory, disk, backs, storms }.chapter()
}

fn link(stack: &Stack, api: &Api, count: usize) -> Result<(LinkedSessions, Linked)> {
    let node = large_node::process_of(stack)?;
    let idle = Resident::settled(node)?;
    let began = Instant::now();
    let linked_sessions = LinkedSessions::link(stack, api, count, SIDE_BY_SIDE, patience(count))
        .with_context(|| stack.tail())?;
    let took = began.elapsed();
    Ok((linked_sessions, Linked { idle, full: Resident::settled(node)?, took }))
}

fn patience(count: usize) -> Duration {
    PATIENCE + LINKING * u32::try_from(count).unwrap_or(u32::MAX)
}

impl Back {
    fn after(
        name: &'static str,
        victim: Victim,
        stack: &mut Stack,
        api: &Api,
        linked_sessions: &LinkedSessions,
    ) -> Result<Self> {
        let began = Instant::now();
        stack.kill(victim)?;
        stack.recover()?;
        let back = linked_sessions.until_connected(PATIENCE);
        let back = back.and_then(|()| until_working(api, linked_sessions.count(), PATIENCE));
        let took = began.elapsed();
        back.with_context(|| stack.tail())?;
        let held = Resident::settled(large_node::process_of(stack)?)?;
        // The first phones may have lost their connection again.
        let away = linked_sessions.away();
        ensure!(away == 0, "{away} of {} are away again", linked_sessions.count());
        Ok(Self { name, took, held })
    }
}

struct Figures {
    count: usize,
    on_disk: Linked,
    in_memory: Linked,
    disk: Disk,
    backs: Vec<Back>,
    storms: Storms,
}

impl Figures {
    fn chapter(&self) -> Result<Chapter> {
        Ok(Chapter {
            title: "A full node",
            method: self.method(),
            table: self.table(),
            findings: self.findings()?,
            broken: Vec::new(),
        })
    }

    /// Returns the difference to an idle node per session, in kB.
    fn each(&self, held: u64, idle: u64) -> f64 {
        (float(held) - float(idle)) / float(self.count as u64)
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            "kB in the gateway's memory",
            "resident",
            "anonymous",
            "peak",
            "resident, each session",
        ]);
        let Self { on_disk, in_memory, storms, .. } = self;
        let many = |what: &str| format!("{} {what}", number(float(self.count as u64), 0));
        let storming = format!("{} linked at once", storm::PHONES);
        let mut rows = vec![
            ("idle".to_owned(), on_disk.idle, None),
            (
                many("linked, keys on disk"),
                on_disk.full,
                Some(self.each(on_disk.full.all, on_disk.idle.all)),
            ),
        ];
        for back in &self.backs {
            let each = self.each(back.held.all, on_disk.idle.all);
            rows.push((many(&format!("back, {}", back.name)), back.held, Some(each)));
        }
        let each = self.each(in_memory.full.all, in_memory.idle.all);
        rows.push((many("linked, keys in memory"), in_memory.full, Some(each)));
        rows.extend(storms.settled().map(|settled| (storming, settled, None)));
        for (name, held, each) in rows {
            let [all, own, peak] =
                [held.all, held.anonymous, held.peak].map(|kb| number(float(kb), 0));
            table.row([name, all, own, peak, each.map_or_else(String::new, |kb| number(kb, 0))]);
        }
        table
    }

    fn findings(&self) -> Result<Vec<String>> {
        let seconds = |took: Duration| number(took.as_secs_f64(), 1);
        let Self { count, on_disk, in_memory, disk, storms, .. } = self;
        let (sessions, share) = (float(*count as u64), float(disk.taken) / 1024.0);
        let each = |linked: &Linked| self.each(linked.full.all, linked.idle.all);
        let held = format!(
            "A linked session with its keys on disk costs the node {} kB",
            number(each(on_disk), 0)
        );
        let mut findings = vec![
            Aim::AtMost(HELD).judge(each(on_disk), &held, 0),
            format!(
                "With its keys in memory it costs {} kB (on disk {:.2} of that). On disk it uses {} kB; all sessions \
                 share {} files.",
                number(each(in_memory), 0),
                each(on_disk) / each(in_memory),
                number(share / sessions, 0),
                disk.files,
            ),
            format!(
                "All {count} were linked in {} s ({} s with keys in memory), {SIDE_BY_SIDE} at a time, \
                 without a failure.",
                seconds(on_disk.took),
                seconds(in_memory.took),
            ),
        ];
        let allowed = BACK * (sessions / 1000.0).max(1.0);
        findings.extend(self.backs.iter().map(|back| {
            let took = seconds(back.took);
            let back_again = format!("{count} sessions, {}: all working after {took} s", back.name);
            Aim::AtMost(allowed).judge(back.took.as_secs_f64(), &back_again, 1)
        }));
        findings.extend(storms.findings()?);
        Ok(findings)
    }

    fn method(&self) -> String {
        format!(
            "Both programs on SQLite, the gateway built with `sim` and connected to a simulated \
             WhatsApp on the same machine, whose memory does not count. {} sessions are created \
             and linked over the API, each to a phone of its own, on one node. Figures are read \
             when they no longer change. Then the gateway is killed (`kill -9`) and `berth` starts \
             it again; then both are killed. The time runs from the kill until every phone shows \
             its device as connected and every session is `working`. A node connects 32 sessions \
             at the same time, and links as many. *Keys in memory* is a further run with the \
             engine's own store in memory. A storm has a deployment of its own, and there are {} \
             storms: {} sessions are created, and all of their phones wait for QR codes at once, \
             while four connections request another session, each 10 ms after its answer, and four \
             more send the same requests to *hyper alone*, a server in a process of its own that \
             returns the same bytes. The same requests run for ten seconds before the storm. For \
             storms the table shows median and range.",
            self.count,
            storm::STORMS,
            storm::PHONES,
        )
    }
}

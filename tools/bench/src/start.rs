//! The time from the start of `berth serve` to ready.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use testbed::{client::Api, ports, process::Process};

use crate::{
    Setup,
    aim::Aim,
    chapter::{Chapter, Table},
    seeded::{self, SeedSize},
    spread::{Spread, float, number},
};

const TIMES: usize = 10;
/// Size of the largest file.
const MANY: SeedSize = (10_000, 100, 600);
/// Target for each kind of start, in milliseconds.
const AIM: Aim = Aim::AtMost(100.0);
const PATIENCE: Duration = Duration::from_secs(30);
/// Polling interval, a small part of the measured time.
const POLL: Duration = Duration::from_micros(500);

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let folder = |name: &str| setup.scratch.path().join(name);
    let (existing, many) = (folder("existing"), folder("many"));
    // The first run creates the files of the next ones and loads the programs into the page cache.
    start_once(setup, &existing)?;
    seeded::fill(setup, &url(&many), MANY)?;
    // The first run does the work for the seeded sessions.
    start_once(setup, &many)?;
    let mut times = [const { Vec::new() }; 3];
    for time in 0..TIMES {
        let new = folder(&format!("fresh-{time}"));
        for (times, folder) in times.iter_mut().zip([&new, &existing, &many]) {
            times.push(start_once(setup, folder)?.as_secs_f64() * 1e3);
        }
        fs::remove_dir_all(&new)?;
    }
    let mut table = Table::new(["`berth serve`, from its start to `/readyz` 200", "ms", "n"]);
    let shown = number(float(MANY.0 as u64), 0);
    let names = [
        "on a new SQLite file".into(),
        "on an existing file".into(),
        format!("on a file with {shown} sessions"),
    ];
    let mut findings = Vec::new();
    for (name, times) in names.into_iter().zip(times) {
        let spread = Spread::of(times).context("no starts")?;
        let sentence = format!("{name}: {:.1} ms", spread.median());
        findings.push(AIM.judge(spread.median(), &sentence, 0));
        table.row([name, format!("{spread:.1}"), spread.count().to_string()]);
    }
    Ok(Chapter { title: "Start", method: method(), table, findings, broken: Vec::new() })
}

fn method() -> String {
    "The time from the creation of the process to the first 200 of `/readyz` on the operator's \
     listener, polled every half millisecond, with a gateway beside berth as in production. The \
     kinds take turns. *New* creates the folder, the file and its tables; *existing* was created \
     by an earlier run and holds no session. The 10,000 sessions were written by SQL with rows in \
     the form of the store, three events each; one start before the measurement has processed \
     them, and their node does not run. The programs and the files are in the page cache. The \
     table shows median and range."
        .to_owned()
}

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("berth.db").display())
}

/// Starts berth in this folder, waits until ready, and stops it as an operator does.
fn start_once(setup: &Setup, folder: &Path) -> Result<Duration> {
    let local = || -> Result<SocketAddr> { Ok(([127, 0, 0, 1], ports::free()?).into()) };
    let operator = local()?;
    let mut command = Command::new(setup.programs.program("berth"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BERTH_") {
            command.env_remove(name);
        }
    }
    command
        .arg("serve")
        .env("BERTH_DATABASE_URL", url(folder))
        .env("BERTH_GATEWAY_DATA", folder.join("gateway"))
        .env("BERTH_GATEWAY_BIN", setup.programs.program("berth-gateway"))
        // No session connects; the address has no listener.
        .env("BERTH_WHATSAPP_URL", format!("ws://{}/ws/chat", local()?))
        .env("BERTH_OPS_LISTEN", operator.to_string())
        .env("BERTH_NODE_LISTEN", local()?.to_string())
        .env("BERTH_LISTEN", local()?.to_string());
    let api = Api::new(&format!("http://{operator}"), None);
    let log = setup.scratch.path().join("start.log");
    let began = Instant::now();
    let mut berth = Process::spawn("berth", &mut command, Some(&log))?;
    while !api.send_raw("GET", "/readyz", &[], None).is_ok_and(|reply| reply.status == 200) {
        berth.must_run()?;
        ensure!(began.elapsed() < PATIENCE, "berth is not ready in time:\n{}", berth.tail(20));
        thread::sleep(POLL);
    }
    let took = began.elapsed();
    let status = berth.stop()?;
    ensure!(status.success(), "berth ended with {status} after SIGTERM:\n{}", berth.tail(20));
    Ok(took)
}

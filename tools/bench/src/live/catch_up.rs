//! One client that reads all stored events of an organization, beside the database alone that reads
//! the same rows.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rusqlite::{Connection as File, OpenFlags};
use testbed::{http, postgres::Cluster, stack::Stack};
use tokio::{runtime, time::timeout};

use crate::followed::{Followed, StreamRequest};
use crate::{
    Setup,
    aim::Aim,
    connection::stream_request,
    figure::{ComparedFigure, shown},
    seeded,
    spread::{float, number},
};

/// Number of rounds; a round takes a long time.
pub(super) const ROUNDS: usize = 3;
/// Events of a seeded session.
const OF_A_SESSION: usize = 3;
const PATIENCE: Duration = Duration::from_secs(600);
/// Target of the ratio to the database alone.
const AIM: Aim = Aim::AtLeast(0.3);
/// Targets of events per second, on SQLite and on PostgreSQL.
const RATES: [Aim; 2] = [Aim::AtLeast(80_000.0), Aim::AtLeast(60_000.0)];

/// The columns of an event.
const COLUMNS: &str =
    "id, organization, session, stream, sequence, name, at, actor_kind, actor_name, payload";

/// Runs the measurement.
pub(super) fn measure(setup: &Setup) -> Result<(Vec<ComparedFigure>, Vec<String>)> {
    let (mut figures, mut findings) = (Vec::new(), Vec::new());
    let folder = setup.scratch.path().join("catch-up");
    let file = folder.join("berth.db");
    let sqlite = Late::start(setup, format!("sqlite:{}", file.display()))?;
    figures.push(sqlite.measure(setup, "SQLite", |organization| read_file(&file, organization))?);
    drop(sqlite);
    let _ = fs::remove_dir_all(folder); // frees the disk
    let cluster = Cluster::start()?;
    let postgres = Late::start(setup, cluster.create_database("late")?)?;
    figures
        .push(postgres.measure(setup, "PostgreSQL", |organization| copy(&cluster, organization))?);
    for (figure, aim) in figures.iter().zip(RATES) {
        let (rate, ratio) = (figure.berth.median(), figure.median_ratio());
        findings.push(aim.judge(rate, &format!("{}: {}", figure.name, number(rate, 0)), 0));
        let sentence = format!("{}: {ratio:.2} of the database alone", figure.name);
        findings.push(AIM.judge(ratio, &sentence, 2));
    }
    Ok((figures, findings))
}

/// A deployment over a database with the events of one organization.
struct Late {
    stack: Stack,
    organization: String,
    asked: StreamRequest,
    events: usize,
}

impl Late {
    fn start(setup: &Setup, url: String) -> Result<Self> {
        let sessions = setup.size.events.div_ceil(OF_A_SESSION);
        let found = seeded::fill(setup, &url, (sessions, 1, sessions))?;
        let settings = [
            ("BERTH_LOG", "warn".to_owned()),
            // The seeded events are old.
            ("BERTH_FEED_RETENTION", "36500d".to_owned()),
        ];
        let logs = setup.scratch.path();
        let stack = Stack::start(&setup.programs, "bench-late", logs, Some(url), &settings)?;
        let organization = found["organization"].as_str().context("an organization")?.to_owned();
        let key = stack.key(&organization, &["manage"])?;
        let address = http::address(stack.api.base())?;
        let path = "/api/v1/events?after=earliest";
        let asked = StreamRequest { address, request: stream_request(address, path, Some(&key)) };
        // The new key has an event.
        Ok(Self { stack, organization, asked, events: sessions * OF_A_SESSION + 1 })
    }

    fn measure(
        &self,
        setup: &Setup,
        name: &str,
        reference: impl Fn(&str) -> Result<usize>,
    ) -> Result<ComparedFigure> {
        let (mut of_berth, mut alone) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            println!("  late reader on {name}, round {round} of {ROUNDS}");
            let began = Instant::now();
            let rows = reference(&self.organization)?;
            alone.push(self.rate(began));
            ensure!(rows == self.events, "{rows} rows instead of {}", self.events);
            let began = Instant::now();
            self.read().with_context(|| self.stack.tail())?;
            of_berth.push(self.rate(began));
        }
        let name = format!("late reader, events/s: {name}, {}", shown(setup.size.events));
        ComparedFigure::new(name, 0, &of_berth, &alone)
    }

    fn rate(&self, began: Instant) -> f64 {
        float(self.events as u64) / began.elapsed().as_secs_f64()
    }

    /// Reads all events over one connection.
    fn read(&self) -> Result<()> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut followed = Followed::open(&self.asked).await?;
            let mut count = 0;
            let all = followed.read_while(|_| {
                count += 1;
                count < self.events
            });
            timeout(PATIENCE, all).await.with_context(|| format!("of {} events", self.events))?
        })
    }
}

/// Reads the rows from berth's file, and returns their number.
fn read_file(file: &Path, organization: &str) -> Result<usize> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = File::open_with_flags(file, flags)?;
    let text = format!(
        "SELECT {COLUMNS} FROM events WHERE organization = ?1 AND position + 0 > 0 \
         ORDER BY position + 0"
    );
    let mut select = file.prepare(&text)?;
    let columns = select.column_count();
    let (mut rows, mut count) = (select.query([organization])?, 0);
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            row.get_ref(column)?;
        }
        count += 1;
    }
    Ok(count)
}

/// Lets psql copy the rows to a pipe, and returns their number.
fn copy(cluster: &Cluster, organization: &str) -> Result<usize> {
    let text = format!(
        "COPY (SELECT {COLUMNS} FROM events WHERE organization = '{organization}' AND position > 0 \
         ORDER BY position + 0) TO STDOUT"
    );
    let mut psql = Command::new(cluster.program("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--dbname", &cluster.url("late"), "--command", &text]);
    let mut psql = psql.stdout(Stdio::piped()).spawn()?;
    let mut output = psql.stdout.take().context("psql has an output")?;
    let (mut buffer, mut count) = (vec![0; 256 * 1024], 0);
    loop {
        match std::io::Read::read(&mut output, &mut buffer)? {
            0 => break,
            read => buffer[..read].iter().for_each(|byte| count += usize::from(*byte == b'\n')),
        }
    }
    ensure!(psql.wait()?.success(), "psql failed");
    Ok(count)
}

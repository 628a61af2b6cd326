//! The cost of lists with a million sessions, beside a thousand.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testbed::{
    client::Credential, http, postgres::Cluster, processor, random::Random, sessions, stack::Stack,
};

use crate::{
    Setup,
    chapter::{Chapter, Table},
    connection::{Connection, request},
    seeded::{self, SeedSize},
    spread::{float, number},
};

/// Sessions, organizations and the sessions of the largest organization in the small database.
const SMALL: SeedSize = (1_000, 10, 600);
const ORGANIZATIONS: usize = 1_000;
/// Percentage of the largest organization, so that its list has a page 1,000.
const LARGEST: usize = 6;
/// Default number of sessions on a page.
const SHOWN: usize = 50;
/// Number of the deep page.
const DEEP: usize = 1_000;
/// Requests of one kind before the other side takes its turn.
const TURN: usize = 100;
/// Number of turns; the first does not count.
const TURNS: usize = 21;
/// Upper bound of the ratio of a deep page to the first page of a thousand sessions.
const DEEP_COSTS: f64 = 1.2;
const REST: Duration = Duration::from_secs(10);

/// A deployment over one database, with its largest organization.
struct Side {
    stack: Stack,
    address: SocketAddr,
    key: Credential,
    found: Value,
    /// Names of its sessions.
    names: Vec<String>,
    /// Cursor of the deep page in the whole list, and in the list of the usual status.
    deep: [Option<String>; 2],
    seeding: Duration,
}

/// A kind of request for the large side, with the comparison for the small side.
struct ListRequest {
    name: &'static str,
    requests: [Vec<Vec<u8>>; 2],
    /// Whether the cost must equal that of a first page.
    deep: bool,
}

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let cluster = Cluster::start()?;
    let many = setup.size.sessions.unwrap_or(1_000_000);
    let [few_shown, many_shown] = [SMALL.0, many].map(|count| number(float(count as u64), 0));
    let mut table = Table::new([
        "asked".to_owned(),
        format!("at {many_shown}: p50, ms"),
        "p99, ms".to_owned(),
        format!("at {few_shown}: p50, ms"),
        "p99, ms".to_owned(),
        "ratio of p50".to_owned(),
        "of p99".to_owned(),
    ]);
    let (mut findings, mut broken) = (Vec::new(), Vec::new());
    for name in ["SQLite", "PostgreSQL"] {
        let url = |size: &str| match name {
            "SQLite" => Ok(format!("sqlite:{}", file(setup, size).display())),
            _ => cluster.create_database(size),
        };
        let small = Side::start(setup, &url("small")?, SMALL)?;
        let large = (many, ORGANIZATIONS.min(many), many * LARGEST / 100);
        let large = Side::start(setup, &url("large")?, large)?;
        for (kind, took) in ask_all(&large, &small)? {
            table.row(row(name, kind.name, &took));
            let ratio = took[0].at(50) / took[1].at(50);
            if kind.deep && ratio > DEEP_COSTS {
                broken.push(format!("{name}, {}: {ratio:.2} of the first page", kind.name));
            }
        }
        findings.push(format!(
            "{name}: {many_shown} sessions and three events each were written in {} s.{}",
            number(large.seeding.as_secs_f64(), 0),
            if name == "SQLite" { about_file(setup, &large, &small)? } else { String::new() }
        ));
        drop((large, small));
        let _ = fs::remove_dir_all(setup.scratch.path().join("lists")); // frees the disk
    }
    let title = "A million sessions";
    Ok(Chapter { title, method: method(), table, findings, broken })
}

fn file(setup: &Setup, size: &str) -> PathBuf {
    setup.scratch.path().join("lists").join(size).join("berth.db")
}

/// Describes the size of the database and the idle load of berth.
fn about_file(setup: &Setup, large: &Side, small: &Side) -> Result<String> {
    let bytes = fs::metadata(file(setup, "large"))?.len();
    let idle = |side: &Side| {
        let pid = side.stack.berth_id().context("berth does not run")?;
        let before = processor::time_of(pid)?;
        thread::sleep(REST);
        let used = processor::time_of(pid)?.saturating_sub(before);
        Ok::<_, anyhow::Error>(used.as_secs_f64() * 1e3 / REST.as_secs_f64())
    };
    let [large, small] = [idle(large)?, idle(small)?].map(|used| number(used, 0));
    let megabytes = number(float(bytes) / 1e6, 0);
    Ok(format!(
        " The file has {megabytes} MB. Without due work, `berth` with its worker used {large} ms of \
         processor time per second, and {small} ms with the small file."
    ))
}

fn row(database: &str, name: &str, took: &[Took; 2]) -> Vec<String> {
    let millis = |took: f64| format!("{took:.2}");
    let ratio = |percent| format!("{:.2}", took[0].at(percent) / took[1].at(percent));
    vec![
        format!("{database}: {name}"),
        millis(took[0].at(50)),
        millis(took[0].at(99)),
        millis(took[1].at(50)),
        millis(took[1].at(99)),
        ratio(50),
        ratio(99),
    ]
}

impl Side {
    fn start(setup: &Setup, url: &str, size: SeedSize) -> Result<Self> {
        let began = Instant::now();
        let found = seeded::fill(setup, url, size)?;
        let seeding = began.elapsed();
        let (name, logs) = (format!("bench-{}", size.0), setup.scratch.path());
        let quiet = [("BERTH_LOG", "warn".to_owned())];
        let stack = Stack::start(&setup.programs, &name, logs, Some(url.to_owned()), &quiet)?;
        let organization = found["organization"].as_str().context("seed names no organization")?;
        let key = stack.key(organization, &["manage"])?;
        let address = http::address(stack.api.base())?;
        let (names, deep) = (Vec::new(), [None, None]);
        let mut this = Self { stack, address, key, found, names, deep, seeding };
        this.names = this.walk("")?.0;
        this.deep = [String::new(), format!("&status={}", this.usual("status")?)]
            .map(|filter| this.walk(&filter).map(|(_, cursor)| cursor.map(|c| filter + &c)))
            .into_iter()
            .collect::<Result<Vec<_>>>()?
            .try_into()
            .unwrap_or_default();
        Ok(this)
    }

    /// Walks through a list to the deep page. Returns the names and the cursor of the deep page, or
    /// of the last full page before it.
    fn walk(&self, filter: &str) -> Result<(Vec<String>, Option<String>)> {
        let mut connection = Connection::open(self.address)?;
        let (mut names, mut cursor, mut before) = (Vec::new(), None, None);
        for _ in 1..DEEP {
            let request = self.list(&format!("{filter}{}", cursor.clone().unwrap_or_default()));
            let reply = connection.ask(&request)?;
            ensure!(reply.status == 200, "a list answers {}", reply.status);
            let page: Value = serde_json::from_slice(reply.body)?;
            let data = page["data"].as_array().context("a list has data")?;
            names.extend(data.iter().filter_map(|it| it["id"].as_str()).map(str::to_owned));
            if data.len() < SHOWN {
                return Ok((names, before));
            }
            let Some(next) = page["nextCursor"].as_str() else { break };
            before = cursor.replace(format!("&cursor={next}"));
        }
        Ok((names, cursor))
    }

    fn list(&self, parameters: &str) -> Vec<u8> {
        self.get(&format!("{}?limit={SHOWN}{parameters}", sessions::SESSIONS))
    }

    fn get(&self, path: &str) -> Vec<u8> {
        request("GET", self.address, path, Some(&self.key))
    }

    fn usual(&self, parameter: &str) -> Result<&str> {
        self.found["usual"][parameter].as_str().context("`seed` reports usual values")
    }

    /// Returns the requests for the first page with a filter whose value is `usual` or `rare`.
    fn narrowed(&self, how: &str, parameter: &str) -> Vec<Vec<u8>> {
        let value = self.found[how][parameter].as_str().unwrap_or_default();
        vec![self.list(&format!("&{parameter}={value}"))]
    }

    fn by_name(&self) -> Vec<Vec<u8>> {
        self.names.iter().map(|name| self.get(&sessions::path(name))).collect()
    }

    fn deep(&self, which: usize) -> Vec<Vec<u8>> {
        vec![self.list(self.deep[which].as_deref().unwrap_or_default())]
    }
}

/// Returns the requests for both sides.
fn requests_of(large: &Side, small: &Side) -> Vec<ListRequest> {
    let both = |name, kind: &dyn Fn(&Side) -> Vec<Vec<u8>>| ListRequest {
        name,
        requests: [kind(large), kind(small)],
        deep: false,
    };
    let narrowed = |name, how: &'static str, parameter: &'static str| {
        both(name, &|side| side.narrowed(how, parameter))
    };
    let several = "&status=failed&status=stopped";
    vec![
        both("one session", &Side::by_name),
        both("the first page", &|side| vec![side.list("")]),
        ListRequest {
            name: "page 1,000, beside a first page",
            requests: [large.deep(0), vec![small.list("")]],
            deep: true,
        },
        narrowed("a common status", "usual", "status"),
        ListRequest {
            name: "page 1,000 of a common status, beside its first",
            requests: [large.deep(1), small.narrowed("usual", "status")],
            deep: true,
        },
        narrowed("a rare status", "rare", "status"),
        both("two statuses", &|side| vec![side.list(several)]),
        narrowed("a common label", "usual", "label"),
        narrowed("a rare label", "rare", "label"),
        narrowed("a frequent number", "usual", "phoneNumber"),
        narrowed("a unique number", "rare", "phoneNumber"),
    ]
}

/// Durations in milliseconds, sorted.
struct Took(Vec<f64>);

impl Took {
    /// Returns a percentile.
    fn at(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

/// Sends all requests; the sides take turns.
fn ask_all(large: &Side, small: &Side) -> Result<Vec<(ListRequest, [Took; 2])>> {
    let mut connections = [Connection::open(large.address)?, Connection::open(small.address)?];
    let mut random = Random::new()?;
    let mut all = Vec::new();
    for kind in requests_of(large, small) {
        println!("    {}", kind.name);
        let mut took = [Vec::new(), Vec::new()];
        for turn in 0..TURNS {
            for (side, connection) in connections.iter_mut().enumerate() {
                for _ in 0..TURN {
                    let request: &Vec<u8> = random.choose(&kind.requests[side]);
                    let reply = connection.ask(request).context(kind.name)?;
                    ensure!(reply.status == 200, "{}: {}", kind.name, reply.status);
                    if turn > 0 {
                        took[side].push(reply.took.as_secs_f64() * 1e3);
                    }
                }
            }
        }
        let took = took.map(|mut took| {
            took.sort_by(f64::total_cmp);
            Took(took)
        });
        all.push((kind, took));
    }
    Ok(all)
}

fn method() -> String {
    let (few, groups, largest) = SMALL;
    let requests = number(float(((TURNS - 1) * TURN) as u64), 0);
    format!(
        "Two deployments over databases that were filled by SQL with rows in the form of the \
         store, three events for each session: one with the sessions of {ORGANIZATIONS} \
         organizations, one with {few} sessions of {groups}. The requests have a key of the \
         largest organization, which has {LARGEST} % of the million and {largest} of the thousand, \
         over HTTP/1.1 on one open connection, with {SHOWN} sessions on a page. Each kind has \
         {requests} requests in turns of {TURN}, one at a time. *One session* is another one each \
         time. *Rare* values occur only in the three oldest sessions, and are common in other \
         organizations. A deep page is compared with a first page, because the small list has no \
         deep page. The requests write no log lines."
    )
}

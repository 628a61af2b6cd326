//! Asking for one session with an API key: what the service does most.

use anyhow::{Context as _, Result};

use super::{
    Stand,
    bare::Bare,
    chapter::{Chapter, Table},
    load::Load,
    target::{self, ROUNDS, Target},
};
use crate::{
    client::Api,
    exchange::{self, Reply},
    postgres::Cluster,
    sessions::{self, Owned},
    stack::Stack,
};

const CONNECTIONS: usize = 32;

/// berth with a linked session in it, and what it answers when asked for that.
struct Served {
    stack: Stack,
    api: Api,
    path: String,
    reply: Reply,
}

/// Takes the figures.
pub(super) fn measure(stand: &Stand) -> Result<Chapter> {
    let cluster = Cluster::start()?;
    let postgres = Some(cluster.create_database("bench")?);
    let sqlite = Served::start(stand, "bench-sqlite", None, &[])?;
    let quiet = [("BERTH_LOG", "warn".to_owned())];
    let quiet = Served::start(stand, "bench-quiet", None, &quiet)?;
    let postgres = Served::start(stand, "bench-postgres", postgres, &[])?;
    let bare = Bare::start(stand, &sqlite.reply)?;
    let as_bare = Load { address: bare.address, ..sqlite.load()? };
    let mut targets = [
        Target::new("hyper alone, the same bytes", bare.id(), as_bare),
        sqlite.target("berth on SQLite")?,
        quiet.target("berth on SQLite, no log line a request")?,
        postgres.target("berth on PostgreSQL")?,
    ];
    target::ask_in_turn(&mut targets)?;
    chapter(&targets, sqlite.reply.body.len())
}

impl Served {
    fn start(
        stand: &Stand,
        name: &str,
        database: Option<String>,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        let logs = stand.scratch.path();
        let stack = Stack::start(&stand.programs, name, logs, database, settings)?;
        let api = stack.api.asked_by(Some(stack.key("bench", &["manage"])?));
        let session = Owned::create(&api, "bench").context(name.to_owned())?;
        session.link(&stack.phones.new_phone("Bench")?).with_context(|| stack.tail())?;
        let path = sessions::path(&session.id);
        let reply = api.exchange("GET", &path, &[], None)?.expect(200)?;
        Ok(Self { stack, api, path, reply })
    }

    fn load(&self) -> Result<Load> {
        let address = exchange::address(self.api.base())?;
        let headers = self.api.headers(&[], false);
        let credential = headers.first().map(|(name, value)| (*name, value.as_str()));
        let request = target::get(address, &self.path, credential);
        Ok(Load { address, request, body: self.reply.body.clone(), connections: CONNECTIONS })
    }

    fn target(&self, name: &'static str) -> Result<Target> {
        let pid = self.stack.berth_id().context("berth does not run")?;
        Ok(Target::new(name, pid, self.load()?))
    }
}

fn chapter(targets: &[Target], bytes: usize) -> Result<Chapter> {
    let mut table = Table::new([
        "GET of a session with an API key",
        "requests/s",
        "of hyper alone",
        "p50, ms",
        "p99, ms",
        "processor, µs/request",
    ]);
    let mut findings = Vec::new();
    for target in targets {
        let ratio = target.rate_by(&targets[0])?;
        table.row([
            target.name.to_owned(),
            target.rate()?.to_string(),
            format!("{:.2} ({})", ratio.median(), ratio.range(2)),
            format!("{:.2}", target.half()?),
            format!("{:.2}", target.most()?),
            format!("{:.1}", target.cost()?),
        ]);
        if target.name != targets[0].name {
            findings.push(format!("{}: {:.2} of hyper alone.", target.name, ratio.median()));
        }
    }
    let title = "Asking for a session";
    Ok(Chapter { title, method: method(bytes), table, findings, broken: Vec::new() })
}

fn method(bytes: usize) -> String {
    format!(
        "`GET /api/v1/sessions/{{session}}` of a linked session over HTTP/1.1, {CONNECTIONS} connections \
         that stay open, each asking again when it was answered; the body has {bytes} bytes, and an \
         answer that is not 200 with exactly this body fails the measurement. Two seconds of warm-up, \
         then {ROUNDS} rounds of four seconds, the servers taking turns; shown are the median of the \
         rounds and their range. *hyper alone* is a server in a process of its own that answers the \
         same headers and bytes whatever it is asked; ratios are taken round by round. Everything is \
         set as it comes: every request is looked up by its key and leaves a log line in a file, save \
         where the table says otherwise. The last column counts the asked server's own process, on \
         PostgreSQL without the database's."
    )
}

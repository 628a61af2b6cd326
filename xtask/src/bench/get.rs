//! Asking for one session with an API key: what the service does most.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{
    Stand,
    bare::Bare,
    chapter::{Chapter, Table},
    forged,
    line::request,
    load::Load,
    spread::Spread,
    statements::Statements,
    target::{self, ROUNDS, Target},
};
use crate::{
    client::{Api, Credential},
    exchange::{self, Reply},
    issuer::{Issuer, Token},
    postgres::Cluster,
    scenarios::issuer_settings,
    sessions::{self, Owned},
    stack::Stack,
};

const CONNECTIONS: usize = 32;
const ORGANIZATION: &str = "bench";
const DATABASE: &str = "bench";

/// berth with a linked session in it, and what it answers when asked for that.
struct Served {
    stack: Stack,
    api: Api,
    session: String,
    reply: Reply,
}

/// Takes the figures.
pub(super) fn measure(stand: &Stand) -> Result<Chapter> {
    let cluster = Cluster::start()?;
    let issuer = Issuer::start()?;
    let postgres = Some(cluster.create_database(DATABASE)?);
    let sqlite = Served::start(stand, "bench-sqlite", None, &issuer_settings(&issuer))?;
    let quiet = [("BERTH_LOG", "warn".to_owned())];
    let quiet = Served::start(stand, "bench-quiet", None, &quiet)?;
    let postgres = Served::start(stand, "bench-postgres", postgres, &[])?;
    let bare = Bare::start(stand, &sqlite.reply)?;
    let as_bare = Load { address: bare.address, ..sqlite.load(&sqlite.api)? };
    let asked = (ORGANIZATION, postgres.session.as_str());
    let statements = Statements::one_session(stand, &cluster, DATABASE, asked, CONNECTIONS)?;

    let person = sqlite.stack.api.asked_by(Some(Token::of(ORGANIZATION, "admin").sign()));
    let [one, other] = [0, 1].map(|_| sqlite.stack.key("another", &["manage"]));
    let (one, other) = (one?, other?);
    let unknown = forged::with_secret_of(one.text(), other.text())?;
    let unknown = sqlite.stack.api.asked_by(Some(Credential::Key(unknown)));
    let foreign = sqlite.stack.api.asked_by(Some(one));
    let mut targets = [
        Target::new("hyper alone, the same bytes", bare.id(), as_bare),
        sqlite.target("berth on SQLite", &sqlite.api)?,
        quiet.target("berth on SQLite, no log line a request", &quiet.api)?,
        sqlite.target("berth on SQLite, a login token (EdDSA)", &person)?,
        sqlite.target("berth on SQLite, another's session: 404", &foreign)?,
        sqlite.target("berth on SQLite, no such key: 401", &unknown)?,
        Target::database("PostgreSQL alone, the same statement", statements),
        postgres.target("berth on PostgreSQL", &postgres.api)?,
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
        let api = stack.api.asked_by(Some(stack.key(ORGANIZATION, &["manage"])?));
        let session = Owned::create(&api, "bench").context(name.to_owned())?;
        session.link(&stack.phones.new_phone("Bench")?).with_context(|| stack.tail())?;
        let session = session.id.clone();
        let reply = api.exchange("GET", &sessions::path(&session), &[], None)?.expect(200)?;
        Ok(Self { stack, api, session, reply })
    }

    /// Its session, asked for by this caller; the first answer says what all must be.
    fn load(&self, api: &Api) -> Result<Load> {
        let path = sessions::path(&self.session);
        let reply = api.exchange("GET", &path, &[], None)?;
        let address = exchange::address(api.base())?;
        let request = request("GET", address, &path, api.credential());
        let (status, body, connections) = (reply.status, reply.body, CONNECTIONS);
        Ok(Load { address, request, status, body, connections, pause: Duration::ZERO })
    }

    fn target(&self, name: &'static str, api: &Api) -> Result<Target> {
        let pid = self.stack.berth_id().context("berth does not run")?;
        Ok(Target::new(name, pid, self.load(api)?))
    }
}

fn chapter(targets: &[Target], bytes: usize) -> Result<Chapter> {
    let mut table = Table::new([
        "GET of a session",
        "requests/s",
        "of hyper alone",
        "p50, ms",
        "p99, ms",
        "processor, µs/request",
    ]);
    let shown = |spread: Option<Spread>, decimals| {
        spread.map_or_else(String::new, |spread| format!("{spread:.decimals$}"))
    };
    for target in targets {
        let ratio = target.rate_by(&targets[0])?;
        table.row([
            target.name.to_owned(),
            target.rate()?.to_string(),
            format!("{:.2} ({})", ratio.median(), ratio.range(2)),
            shown(target.half(), 2),
            shown(target.most(), 2),
            shown(target.cost(), 1),
        ]);
    }
    let [bare, sqlite, _, token, missing, unknown, database, postgres] = targets else {
        bail!("other targets than were made");
    };
    let by = |one: &Target, other: &Target| Ok::<_, anyhow::Error>(one.rate_by(other)?.median());
    let findings = vec![
        format!("On SQLite: {:.2} of hyper alone.", by(sqlite, bare)?),
        format!("On PostgreSQL: {:.2} of PostgreSQL alone.", by(postgres, database)?),
        format!("With a login token: {:.2} of with a key.", by(token, sqlite)?),
        format!(
            "Refused: 404 {:.2} and 401 {:.2} of what is answered.",
            by(missing, sqlite)?,
            by(unknown, sqlite)?
        ),
    ];
    let title = "Asking for a session";
    Ok(Chapter { title, method: method(bytes), table, findings, broken: Vec::new() })
}

fn method(bytes: usize) -> String {
    format!(
        "`GET /api/v1/sessions/{{session}}` of a linked session over HTTP/1.1, {CONNECTIONS} connections \
         that stay open, each asking again when it was answered; the body has {bytes} bytes, and an \
         answer with another status or body than the first fails the measurement. Two seconds of warm-up, \
         then {ROUNDS} rounds of four seconds, the servers taking turns; shown are the median of the \
         rounds and their range. *hyper alone* is a server in a process of its own that answers the \
         same headers and bytes whatever it is asked; ratios are taken round by round. Everything is \
         set as it comes: every request is looked up by its key and leaves a log line in a file, save \
         where the table says otherwise. *PostgreSQL alone* is `pgbench` with the same statement, \
         prepared, on as many connections. The last column counts the asked server's own process, on \
         PostgreSQL without the database's."
    )
}

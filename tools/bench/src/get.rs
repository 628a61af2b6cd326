//! `GET` of a session with every credential and every refusal: the most frequent operation.

use anyhow::{Result, bail};
use testbed::{
    client::{Api, Credential},
    issuer::{Issuer, Token},
    postgres::Cluster,
};

use crate::{
    Setup,
    bare::Bare,
    chapter::{Chapter, Table},
    forged,
    rounds::ROUNDS,
    served::{self, SESSIONS, Served},
    sqlite::Sqlite,
    statements::Statements,
    target::{self, Target},
};

const CONNECTIONS: usize = 32;
const DATABASE: &str = "bench";

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    let cluster = Cluster::start()?;
    let issuer = Issuer::start()?;
    let postgres = Some(cluster.create_database(DATABASE)?);
    let file = setup.scratch.path().join("get.db");
    let url = Some(format!("sqlite:{}", file.display()));
    let sqlite = Served::start(setup, "bench-sqlite", url, &issuer.settings())?;
    let quiet = [("BERTH_LOG", "warn".to_owned())];
    let quiet = Served::start(setup, "bench-quiet", None, &quiet)?;
    let postgres = Served::start(setup, "bench-postgres", postgres, &[])?;
    let bare = Bare::start(setup, &sqlite.reply)?;
    let as_bare = sqlite.load(&sqlite.api, CONNECTIONS)?;
    let as_bare = as_bare.answered_by(bare.address, &sqlite.reply.body);
    let alone = Sqlite::sessions(&file, served::ORGANIZATION, &sqlite.sessions)?;
    let asked = (served::ORGANIZATION, postgres.sessions.as_slice());
    let statements = Statements::sessions(setup, &cluster, DATABASE, asked, CONNECTIONS)?;

    let person =
        sqlite.stack.api.with_credential(Some(Token::of(served::ORGANIZATION, "admin").sign()));
    let [one, other] = [0, 1].map(|_| sqlite.stack.key("another", &["manage"]));
    let (one, other) = (one?, other?);
    let unknown = forged::with_secret_of(one.text(), other.text())?;
    let unknown = sqlite.stack.api.with_credential(Some(Credential::Key(unknown)));
    let foreign = sqlite.stack.api.with_credential(Some(one));
    let mut targets = [
        Target::new("hyper alone, the same bytes", bare.id(), as_bare),
        Target::file("SQLite alone, a session by its key", alone),
        target("berth on SQLite", &sqlite, &sqlite.api)?,
        target("berth on SQLite, no log line a request", &quiet, &quiet.api)?,
        target("berth on SQLite, a login token (EdDSA)", &sqlite, &person)?,
        target("berth on SQLite, another's session: 404", &sqlite, &foreign)?,
        target("berth on SQLite, no such key: 401", &sqlite, &unknown)?,
        Target::database("PostgreSQL alone, a session by its key", statements),
        target("berth on PostgreSQL", &postgres, &postgres.api)?,
    ];
    target::ask_in_turn(&mut targets)?;
    chapter(&targets, sqlite.reply.body.len())
}

fn target(name: &str, served: &Served, api: &Api) -> Result<Target> {
    Ok(Target::new(name, served.process()?, served.load(api, CONNECTIONS)?))
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
    for target in targets {
        table.row(target.row(&targets[0], 1)?);
    }
    let [bare, file, sqlite, _, token, missing, unknown, database, postgres] = targets else {
        bail!("the targets differ from those created");
    };
    let by = |one: &Target, other: &Target| Ok::<_, anyhow::Error>(one.rate_by(other)?.median());
    let findings = vec![
        format!(
            "On SQLite: {:.2} of hyper alone, {:.2} of SQLite alone.",
            by(sqlite, bare)?,
            by(sqlite, file)?
        ),
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
        "`GET /api/v1/sessions/{{session}}` of {SESSIONS} linked sessions in turn over HTTP/1.1, {CONNECTIONS} \
         connections that stay open, each asking again when it was answered; a body has about {bytes} bytes, and an \
         answer with another status or body than the first fails the measurement. Two seconds of warm-up, \
         then {ROUNDS} rounds of four seconds, the servers taking turns; shown are the median of the \
         rounds and their range. *hyper alone* is a server in a process of its own that answers the \
         same headers and bytes whatever it is asked; ratios are taken round by round. Everything is \
         set as it comes: every request leaves a log line in a file, save where the table says otherwise. Nothing \
         is written meanwhile, so on SQLite berth answers most requests by what it read before (ADR 0020), and \
         on PostgreSQL it asks for several sessions in one statement. *SQLite alone* is one thread that looks one \
         session after the other up in berth's own file by a prepared statement and reads every column. \
         *PostgreSQL alone* is `pgbench` looking up any one of them by a prepared statement, on as many \
         connections. The last column counts the asked server's own process, on \
         PostgreSQL without the database's."
    )
}

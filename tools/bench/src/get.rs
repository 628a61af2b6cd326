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
        target("berth on SQLite, without log lines", &quiet, &quiet.api)?,
        target("berth on SQLite, a login token (EdDSA)", &sqlite, &person)?,
        target("berth on SQLite, another organization's session: 404", &sqlite, &foreign)?,
        target("berth on SQLite, an unknown key: 401", &sqlite, &unknown)?,
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
        format!("With a login token: {:.2} of the rate with a key.", by(token, sqlite)?),
        format!(
            "Refusals: 404 at {:.2} and 401 at {:.2} of the rate of 200.",
            by(missing, sqlite)?,
            by(unknown, sqlite)?
        ),
    ];
    let title = "GET of a session";
    Ok(Chapter { title, method: method(bytes), table, findings, broken: Vec::new() })
}

fn method(bytes: usize) -> String {
    format!(
        "`GET /api/v1/sessions/{{session}}` of {SESSIONS} linked sessions in turn over HTTP/1.1 on \
         {CONNECTIONS} open connections, each with one request at a time. A body has about {bytes} \
         bytes; an answer with another status or body than the first fails the measurement. After \
         two seconds of warm-up, the servers take turns in {ROUNDS} rounds of four seconds. The \
         table shows median and range of the rounds; ratios are taken round by round. *hyper \
         alone* is a server in a process of its own that returns the same headers and bytes to \
         every request. All settings have their defaults: every request writes a log line to a \
         file, unless the table says otherwise. On PostgreSQL one statement reads several sessions (ADR \
         0020). *SQLite alone* is one thread that reads one session after the other from \
         berth's file with a prepared statement and reads every column. *PostgreSQL alone* is \
         `pgbench`, which reads random sessions with a prepared statement over as many \
         connections. The last column counts the server's own process, on PostgreSQL without the \
         database."
    )
}

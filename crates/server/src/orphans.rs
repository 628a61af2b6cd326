//! Keys on nodes whose sessions the database does not know, from the operator's command line.
//!
//! Nothing here speaks to a node: what is to be done is written into the database, and the berth that
//! serves does it, again and again until it is done.
//!
//! Decision: ADR 0035.

use std::{
    io::{Write, stderr, stdout},
    sync::Arc,
};

use anyhow::Result;
use domain::{Deadlines, Orphan, Orphans};
use serde_json::json;

use crate::{
    cli::{ListOrphans, OneOrphan, OrphanCommand, Place},
    duration,
    environment::Machine,
    keys::{database, operator_of},
};

/// Does it, and says how it went.
pub(crate) async fn run(command: OrphanCommand) -> Result<()> {
    match command {
        OrphanCommand::List(ListOrphans { json, place }) => {
            let orphans = open(place).await?.list().await?;
            let text = if json { as_json(&orphans) } else { as_lines(&orphans) };
            write!(stdout(), "{text}")?;
        }
        OrphanCommand::Adopt(OneOrphan { org, id, place }) => {
            let caller = operator_of(&org)?;
            let session = open(place).await?.adopt(&caller, &id).await?;
            writeln!(stderr(), "{} is a session of {org} now, stopped.", session.id)?;
        }
        OrphanCommand::Unlink(OneOrphan { org, id, place }) => {
            let caller = operator_of(&org)?;
            open(place).await?.unlink(&caller, &id).await?;
            writeln!(stderr(), "{id} is being unlinked; the events of {org} tell how it ends.")?;
        }
    }
    Ok(())
}

async fn open(place: Place) -> Result<Orphans> {
    let database = database(place).await?;
    let (nodes, sessions, machine) = (database.clone(), database.clone(), Machine::default());
    Ok(Orphans::new(nodes, sessions, database, Arc::new(machine), Deadlines::default()))
}

fn as_json(orphans: &[Orphan]) -> String {
    let orphans = orphans.iter().map(|orphan| {
        json!({
            "id": orphan.session.as_str(),
            "gateway": orphan.gateway.as_str(),
            "since": orphan.since.millis(),
        })
    });
    format!("{:#}\n", serde_json::Value::Array(orphans.collect()))
}

/// One a line: node, session, since when.
fn as_lines(orphans: &[Orphan]) -> String {
    let line = |orphan: &Orphan| {
        format!("{}  {}  {}\n", orphan.gateway, orphan.session, duration::shown(orphan.since))
    };
    orphans.iter().map(line).collect()
}

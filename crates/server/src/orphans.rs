//! The command `berth orphan`, for device keys on nodes without a session in the database.
//!
//! The command does not call nodes. It writes the order to the database, and the worker of a
//! serving router retries the order until it is done.
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
    cli::{DatabaseLocation, ListOrphans, OneOrphan, OrphanCommand},
    duration,
    environment::SystemEnvironment,
    keys::{database, operator_of},
};

/// Runs a subcommand of `berth orphan`.
pub(crate) async fn run(command: OrphanCommand) -> Result<()> {
    match command {
        OrphanCommand::List(ListOrphans { json, database_location }) => {
            let orphans = open(database_location).await?.list().await?;
            let text = if json { as_json(&orphans) } else { as_lines(&orphans) };
            write!(stdout(), "{text}")?;
        }
        OrphanCommand::Adopt(OneOrphan { org, id, database_location }) => {
            let caller = operator_of(&org)?;
            let session = open(database_location).await?.adopt(&caller, &id).await?;
            writeln!(stderr(), "{} is a session of {org} now, stopped.", session.id)?;
        }
        OrphanCommand::Unlink(OneOrphan { org, id, database_location }) => {
            let caller = operator_of(&org)?;
            open(database_location).await?.unlink(&caller, &id).await?;
            writeln!(stderr(), "{id} is being unlinked; the events of {org} tell how it ends.")?;
        }
    }
    Ok(())
}

async fn open(database_location: DatabaseLocation) -> Result<Orphans> {
    let database = database(database_location).await?;
    let (nodes, sessions, environment) =
        (database.clone(), database.clone(), SystemEnvironment::default());
    Ok(Orphans::new(nodes, sessions, database, Arc::new(environment), Deadlines::default()))
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

/// Formats one line for each orphan: node, session, time of detection.
fn as_lines(orphans: &[Orphan]) -> String {
    let line = |orphan: &Orphan| {
        format!("{}  {}  {}\n", orphan.gateway, orphan.session, duration::format_time(orphan.since))
    };
    orphans.iter().map(line).collect()
}

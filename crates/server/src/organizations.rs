//! The command `berth organization erase`.
//!
//! The command does not call nodes: the workers of serving routers unlink the devices of deleted
//! sessions and remove their messages. A repeated command continues an interrupted one.

use std::{
    collections::BTreeMap,
    io::{Write, stderr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use auth::RandomKeyGenerator;
use domain::{
    ApiKeys, Deadlines, ErasedKind, Erasure, ErasurePorts, ErasureStep, OrganizationId,
    ports::ErasedRows,
};

use crate::{
    cli::{EraseOrganization, OrganizationCommand},
    duration,
    environment::SystemEnvironment,
    invalid::Invalid,
    keys::database,
};

/// The time between two reads of the unfinished deletions.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Runs a subcommand of `berth organization`.
pub(crate) async fn run(command: OrganizationCommand) -> Result<()> {
    let OrganizationCommand::Erase(command) = command;
    let EraseOrganization { org, yes, wait, database_location } = command;
    let organization = OrganizationId::parse(&org)
        .ok_or_else(|| Invalid::new("ORG must be 1 to 128 bytes without control characters"))?;
    let wait = duration::parse(&wait).ok_or_else(|| {
        Invalid::new(format!("--wait {wait:?} is no duration such as 30s, 90m or 2h"))
    })?;
    if !yes {
        bail!(Invalid::new(format!("an erasure cannot be undone; add --yes to erase {org}")));
    }
    let store = database(database_location).await?;
    let environment = Arc::new(SystemEnvironment::default());
    let generator = Arc::new(RandomKeyGenerator::default());
    let keys = ApiKeys::new(store.clone(), store.clone(), generator, environment.clone());
    let ports =
        ErasurePorts { sessions: store.clone(), webhooks: store.clone(), rows: store, environment };
    erase(&Erasure::new(ports, keys, Deadlines::default()), &organization, wait).await
}

async fn erase(erasure: &Erasure, organization: &OrganizationId, wait: Duration) -> Result<()> {
    let (mut counts, until) = (BTreeMap::new(), Instant::now() + wait);
    let mut waited_for = 0;
    loop {
        match erasure.step(organization).await? {
            ErasureStep::Removed { kind, count } => {
                *counts.entry(noun(kind)).or_insert(0) += count;
            }
            ErasureStep::Waiting { deletions } if Instant::now() < until => {
                if deletions != waited_for {
                    writeln!(
                        stderr(),
                        "{deletions} deletions of sessions are unfinished; waiting"
                    )?;
                    waited_for = deletions;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            ErasureStep::Waiting { deletions } => {
                print(&counts)?;
                bail!(
                    "{deletions} deletions of sessions are unfinished; repeat the command while \
                     berth serves"
                );
            }
            ErasureStep::Done => {
                print(&counts)?;
                writeln!(stderr(), "{organization} is erased.")?;
                return Ok(());
            }
        }
    }
}

fn print(counts: &BTreeMap<&str, u64>) -> Result<()> {
    for (noun, count) in counts {
        writeln!(stderr(), "{count} {noun} removed")?;
    }
    Ok(())
}

const fn noun(kind: ErasedKind) -> &'static str {
    match kind {
        ErasedKind::Sessions => "sessions",
        ErasedKind::ApiKeys => "API keys",
        ErasedKind::Webhooks => "webhooks",
        ErasedKind::Rows(ErasedRows::BrowserSessions) => "browser sessions",
        ErasedKind::Rows(ErasedRows::ApiKeys) => "rows of API keys",
        ErasedKind::Rows(ErasedRows::IdempotencyRecords) => "recorded responses",
        ErasedKind::Rows(ErasedRows::LinkAttempts) => "link attempts",
        ErasedKind::Rows(ErasedRows::Events) => "events",
    }
}

//! The seal keys of the router, their rotation, and the command `berth seal`.
//!
//! Decision: ADR 0042.

use std::{
    io::{Write, stdout},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use domain::ports::DataKeyStore as _;
use sealing::{SealKeyUse, SealKeys, Sealer, read_or_create};
use serde_json::json;
use store_diesel::Database;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{SealCommand, SealStatus},
    config::{self, Log},
    environment::SystemEnvironment,
    settings::{Flags, warn_of_variables},
    store, telemetry,
};

/// The name of the key file in the folder of an SQLite database.
pub(crate) const KEY_FILE: &str = "seal.key";
/// The time between two rotations. A router that still has the older keys may have created data keys
/// in between.
const ROTATION_INTERVAL: Duration = Duration::from_secs(600);

/// Creates the sealer of the router. Without configured keys, an SQLite database has a key file,
/// which is created while the database has no data key. A lost file is never replaced.
///
/// # Errors
/// When the database or the key file cannot be read.
pub(crate) async fn open(
    database: &Database,
    environment: Arc<SystemEnvironment>,
    configured: Option<SealKeys>,
) -> Result<Sealer> {
    let keys = match (configured, key_file(database)) {
        (Some(keys), _) => keys,
        (None, Some(path)) => {
            let may_create = database.count_by_seal_key().await?.is_empty();
            let keys = read_or_create(&path, may_create);
            keys.with_context(|| format!("the seal keys in {}", path.display()))?
        }
        (None, None) => SealKeys::default(),
    };
    Ok(Sealer::new(keys, Arc::new(database.clone()), environment))
}

/// Returns the path of the key file; `None` on PostgreSQL.
pub(crate) fn key_file(database: &Database) -> Option<PathBuf> {
    database.file().map(|file| file.with_file_name(KEY_FILE))
}

/// Returns the configured seal keys, or else those in the key file. Creates no file.
///
/// # Errors
/// When the key file cannot be read.
pub(crate) fn present_keys(database: &Database, configured: Option<SealKeys>) -> Result<SealKeys> {
    match (configured, key_file(database)) {
        (Some(keys), _) => Ok(keys),
        (None, Some(path)) => {
            let keys = read_or_create(&path, false);
            keys.with_context(|| format!("the seal keys in {}", path.display()))
        }
        (None, None) => Ok(SealKeys::default()),
    }
}

/// Warns if the content of messages is stored unsealed, and sets the gauge of this state.
pub(crate) fn report_unsealed(sealer: &Sealer) {
    if !sealer.can_seal() {
        tracing::warn!(
            "no seal key is configured: the database stores messages in plain text; set \
             BERTH_SEAL_KEYS to seal new messages"
        );
    }
    let unsealed = if sealer.can_seal() { 0.0 } else { 1.0 };
    metrics::gauge!("berth_messages_unsealed").set(unsealed);
}

/// Rewraps data keys by the newest seal key, at the start and then in intervals, until `stop`.
pub(crate) async fn rotate(sealer: Arc<Sealer>, stop: CancellationToken) {
    let rotation = async {
        loop {
            rotate_once(&sealer).await;
            tokio::time::sleep(ROTATION_INTERVAL).await;
        }
    };
    stop.run_until_cancelled(rotation).await;
}

async fn rotate_once(sealer: &Sealer) {
    let rotated = async {
        Ok::<_, domain::ports::PortError>((
            sealer.rewrap_all().await?,
            sealer.seal_key_uses().await?,
        ))
    };
    match rotated.await {
        Ok((rewrapped, uses)) => {
            if rewrapped.done > 0 {
                tracing::info!(data_keys = rewrapped.done, "data keys have a new seal key");
            }
            for missing in uses.iter().filter(|of| of.is_missing()) {
                tracing::error!(
                    seal_key = missing.id,
                    organizations = missing.data_keys,
                    "a seal key is missing: secrets of webhooks cannot be opened; set \
                     BERTH_SEAL_KEYS, or restore the file seal.key next to the database"
                );
            }
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "seal keys cannot be rotated now; will retry");
        }
    }
}

/// Runs a subcommand of `berth seal`.
pub(crate) async fn run(command: SealCommand) -> Result<()> {
    let SealCommand::Status(SealStatus { json, sealing, database_location }) = command;
    let mut flags = Flags::from(database_location);
    flags.settings.sealing = sealing;
    let settings = flags.gather()?;
    telemetry::start(&Log::check(settings.log)?, "warn")?;
    warn_of_variables();
    let configured = config::seal_keys(settings.sealing)?;
    let database = store::open(&config::database(settings.database)).await?;
    let keys = present_keys(&database, configured)?;
    let sealer = Sealer::new(keys, Arc::new(database), Arc::new(SystemEnvironment::default()));
    let uses = sealer.seal_key_uses().await?;
    let text = if json { as_json(&uses) } else { as_lines(&uses) };
    write!(stdout(), "{text}")?;
    Ok(())
}

fn as_json(uses: &[SealKeyUse]) -> String {
    let uses = uses.iter().map(|of| {
        json!({
            "id": of.id,
            "configured": of.configured,
            "first": of.first,
            "organizations": of.data_keys,
            "removable": of.is_removable(),
        })
    });
    format!("{:#}\n", serde_json::Value::Array(uses.collect()))
}

/// Formats one line for each seal key: id, number of organizations, and what to do.
fn as_lines(uses: &[SealKeyUse]) -> String {
    let line = |of: &SealKeyUse| {
        let state = if of.is_missing() {
            "missing: secrets of these organizations cannot be opened"
        } else if of.first {
            "seals"
        } else if of.is_removable() {
            "can be removed"
        } else {
            "still needed: the routers rewrap its data keys within 10 minutes"
        };
        let unit = if of.data_keys == 1 { "organization" } else { "organizations" };
        format!("{}  {} {unit}  {state}\n", of.id, of.data_keys)
    };
    if uses.is_empty() {
        return "no seal key is configured, and none is needed yet\n".to_owned();
    }
    uses.iter().map(line).collect()
}

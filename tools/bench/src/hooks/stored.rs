//! Webhooks of one organization with many stored events behind them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection as File;
use serde_json::json;
use testbed::{client::Api, postgres::Cluster, webhook::Webhook};

use super::{
    deployment::{self, HookDeployment, act_on},
    recorder::Recorder,
};
use crate::{Setup, seeded};

/// Events of a seeded session.
const OF_A_SESSION: usize = 3;
/// Moves all webhooks before the first event. Their leases have ended with the router.
const REWIND: &str = "UPDATE webhook_cursors SET position = 0";

/// A deployment whose largest organization has events and paused webhooks.
pub(super) struct StoredEvents {
    pub(super) deployment: HookDeployment,
    /// The receiver of [`Self::hanging`].
    pub(super) silent: Recorder,
    pub(super) hanging: Vec<Webhook>,
    /// The receiver of [`Self::webhook`].
    pub(super) recorder: Recorder,
    pub(super) webhook: Webhook,
    /// The owner of another organization without webhooks.
    pub(super) neighbour: Api,
}

impl StoredEvents {
    /// Seeds a database, for SQLite in this file, and starts a router with this number of webhooks whose
    /// receiver is to hang.
    pub(super) fn start(
        setup: &Setup,
        file: &Path,
        cluster: Option<Cluster>,
        hanging: usize,
    ) -> Result<Self> {
        let url = match &cluster {
            Some(cluster) => cluster.create_database("hooks")?,
            None => format!("sqlite:{}", file.display()),
        };
        let sessions = setup.size.events.div_ceil(OF_A_SESSION);
        let seeded = seeded::fill(setup, &url, (sessions, 1, sessions))?;
        let mut deployment = HookDeployment::start_over(setup, "stored", Some(url), cluster)?;
        let organization = seeded["organization"].as_str().context("an organization")?;
        let owner = deployment.owner(organization)?;
        let neighbour = deployment.owner("neighbour")?;
        let (silent, recorder) = (Recorder::start(false)?, Recorder::start(true)?);
        let fields = json!({ "events": ["session.*", "auth.*"] });
        let hanging = deployment::create(&owner, &silent, hanging, &fields)?;
        let webhook = deployment::create(&owner, &recorder, 1, &fields)?.remove(0);
        act_on(&hanging, ":pause")?;
        webhook.act(":pause")?;
        deployment.stack.stop_berth()?;
        if deployment.value(REWIND)?.is_none() {
            let moved = File::open(file)?.execute(REWIND, [])?;
            ensure!(moved == hanging.len() + 1, "{moved} webhooks were moved");
        }
        deployment.stack.start_berth()?;
        Ok(Self { deployment, silent, hanging, recorder, webhook, neighbour })
    }
}

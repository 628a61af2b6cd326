//! The programs under test with a database.

use std::{
    ops::{Deref, DerefMut},
    path::Path,
};

use anyhow::Result;
use testbed::{options::DatabaseKind, postgres::Cluster, programs::Programs, stack::Stack};

use crate::Plan;

/// The programs, and the PostgreSQL server if there is one.
#[derive(Debug)]
pub(crate) struct Deployment {
    // Dropped in this order: the programs end before the database.
    stack: Stack,
    _cluster: Option<Cluster>,
}

/// A function that starts the programs with a name, a folder for logs, a database and settings.
type Start = fn(&Programs, &str, &Path, Option<String>, &[(&'static str, String)]) -> Result<Stack>;

impl Deployment {
    /// Starts the programs. `name` is unique among deployments that run at the same time.
    pub(crate) fn start(
        plan: &Plan,
        name: &str,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_by(Stack::start, plan, name, settings)
    }

    /// As [`start`](Self::start), with a simulated WhatsApp that stores its state, so that its end is
    /// an outage.
    pub(crate) fn start_with_stored_whatsapp(
        plan: &Plan,
        name: &str,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        Self::start_by(Stack::start_with_stored_whatsapp, plan, name, settings)
    }

    fn start_by(
        start: Start,
        plan: &Plan,
        name: &str,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        let cluster = match plan.database {
            DatabaseKind::Sqlite => None,
            DatabaseKind::Postgres => Some(Cluster::start()?),
        };
        let url = cluster.as_ref().map(|cluster| cluster.create_database("faults")).transpose()?;
        let name = format!("{name}-{}", plan.database.name());
        let stack = start(&plan.programs, &name, &plan.logs, url, settings)?;
        Ok(Self { stack, _cluster: cluster })
    }
}

impl Deref for Deployment {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl DerefMut for Deployment {
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }
}

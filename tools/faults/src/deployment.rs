//! The programs under test with a database.

use std::ops::{Deref, DerefMut};

use anyhow::Result;
use testbed::{options::DatabaseKind, postgres::Cluster, stack::Stack};

use crate::Plan;

/// The programs, and the PostgreSQL server if there is one.
#[derive(Debug)]
pub(crate) struct Deployment {
    // Dropped in this order: the programs end before the database.
    stack: Stack,
    _cluster: Option<Cluster>,
}

impl Deployment {
    /// Starts the programs. `name` is unique among deployments that run at the same time.
    pub(crate) fn start(
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
        let stack = Stack::start(&plan.programs, &name, &plan.logs, url, settings)?;
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

//! The database alone: a bare client that writes the rows of a round into a copy of berth's database.

mod postgres;
mod sqlite;

use anyhow::{Context as _, Result};

use self::{postgres::CopiedDatabase, sqlite::CopiedFile};
use super::{prepared::PreparedRound, stand_in::StandIn};
use crate::Setup;

/// The copied database.
pub(super) enum BareClient {
    Sqlite(Box<CopiedFile>),
    Postgres(Box<CopiedDatabase>),
}

impl BareClient {
    /// Copies the database of a node's router, which is stopped in the meantime.
    pub(super) fn copy(setup: &Setup, node: &mut StandIn) -> Result<Self> {
        node.stack.stop_berth()?;
        let copied = match &node.cluster {
            None => {
                let copy = setup.scratch.path().join("messages-alone.db");
                Self::Sqlite(Box::new(CopiedFile::copy(&node.database_file()?, &copy)?))
            }
            Some(cluster) => {
                Self::Postgres(Box::new(CopiedDatabase::copy(cluster, "store", "alone")?))
            }
        };
        node.stack.start_berth()?;
        Ok(copied)
    }

    /// Reads the rows of a round from berth's database, writes the same rows in the same batches,
    /// and returns the seconds of the writes.
    pub(super) fn repeat(&mut self, node: &StandIn, round: &PreparedRound) -> Result<f64> {
        match self {
            Self::Sqlite(file) => file.repeat(node, round),
            Self::Postgres(server) => server.repeat(node, round),
        }
    }

    /// Returns the number of messages in berth's database and in the copy.
    pub(super) fn counts(&self) -> Result<(usize, usize)> {
        match self {
            Self::Sqlite(file) => file.counts(),
            Self::Postgres(server) => server.counts(),
        }
        .context("the messages are not counted")
    }
}

//! Several routers over one database, without nodes: three with PostgreSQL, one with SQLite.

use anyhow::Result;
use testbed::{
    client::Api,
    folder::random_hex,
    options::DatabaseKind,
    postgres::Cluster,
    stack::{Stack, Victim},
};

use crate::Plan;

/// The running routers.
#[derive(Debug)]
pub(super) struct Routers {
    // Dropped in this order: the programs end before the database.
    stacks: Vec<Stack>,
    _cluster: Option<Cluster>,
}

/// An organization with a client of each router.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) organization: String,
    pub(super) routers: Vec<Api>,
}

impl Routers {
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        let (cluster, count) = match plan.database {
            DatabaseKind::Sqlite => (None, 1),
            DatabaseKind::Postgres => (Some(Cluster::start()?), 3),
        };
        let url = cluster.as_ref().map(|cluster| cluster.create_database("streams")).transpose()?;
        // A token for a node that never comes: no router starts a gateway.
        let settings = [
            ("BERTH_NODE_TOKENS", format!("gw-1={}", random_hex(20)?)),
            ("BERTH_LOG", "warn".to_owned()),
            ("BERTH_WEBHOOK_ALLOW", "127.0.0.0/8".to_owned()),
        ];
        let mut stacks = Vec::new();
        for number in 0..count {
            let name = format!("streams-{}-{number}", plan.database.name());
            let url = url.clone();
            stacks.push(Stack::start(&plan.programs, &name, &plan.logs, url, &settings)?);
        }
        Ok(Self { stacks, _cluster: cluster })
    }

    pub(super) fn count(&self) -> usize {
        self.stacks.len()
    }

    /// Creates the key of an organization, which every router accepts.
    pub(super) fn client(&self, number: usize) -> Result<Client> {
        let organization = format!("streams-{number}");
        let key = self.stacks[0].key(&organization, &["manage"])?;
        let client = |stack: &Stack| stack.api.with_credential(Some(key.clone()));
        let routers = self.stacks.iter().map(client).collect();
        Ok(Client { organization, routers })
    }

    /// Kills all victims before the first one is started again.
    pub(super) fn kill_and_start(&mut self, victims: &[usize]) -> Result<()> {
        for victim in victims {
            self.stacks[*victim].kill(Victim::Berth)?;
        }
        victims.iter().try_for_each(|victim| self.stacks[*victim].start_berth())
    }

    /// Returns the ends of the logs.
    pub(super) fn tail(&self) -> String {
        self.stacks.iter().map(Stack::tail).collect::<Vec<_>>().join("\n")
    }
}

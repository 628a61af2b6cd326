//! berth with linked sessions that the requests ask for in turn. A single session would measure the
//! cache.

use anyhow::{Context as _, Result};
use testbed::{
    client::Api,
    http::Reply,
    sessions::{self, Owned},
    stack::Stack,
};

use crate::{Setup, load::Load};

/// Organization of the sessions.
pub(crate) const ORGANIZATION: &str = "bench";

/// Number of linked sessions.
pub(crate) const SESSIONS: usize = 32;

/// berth with linked sessions, and its answer for one of them.
#[derive(Debug)]
pub(crate) struct Served {
    /// The programs.
    pub(crate) stack: Stack,
    /// Client of the owner of the sessions.
    pub(crate) api: Api,
    /// Ids of the sessions.
    pub(crate) sessions: Vec<String>,
    /// The answer for one session.
    pub(crate) reply: Reply,
}

impl Served {
    /// Starts the programs and links the sessions. `database` is a URL; `None` means SQLite in the
    /// stack's folder.
    pub(crate) fn start(
        setup: &Setup,
        name: &str,
        database: Option<String>,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        let logs = setup.scratch.path();
        let stack = Stack::start(&setup.programs, name, logs, database, settings)?;
        let api = stack.api.with_credential(Some(stack.key(ORGANIZATION, &["manage"])?));
        let mut linked = Vec::new();
        for _ in 0..SESSIONS {
            let session = Owned::create(&api, "bench").context(name.to_owned())?;
            session.link(&stack.phones.new_phone("Bench")?).with_context(|| stack.tail())?;
            linked.push(session.id.clone());
        }
        let reply = api.send_raw("GET", &sessions::path(&linked[0]), &[], None)?.expect(200)?;
        Ok(Self { stack, api, sessions: linked, reply })
    }

    /// Returns a load of requests by this caller. The first answers define the expected ones.
    pub(crate) fn load(&self, api: &Api, connections: usize) -> Result<Load> {
        Load::of(api, self.sessions.iter().map(|session| sessions::path(session)), connections)
    }

    /// Returns the process id of the router.
    pub(crate) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }
}

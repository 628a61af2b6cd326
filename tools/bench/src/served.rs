//! berth as most measurements ask it: with some linked sessions, which they ask for in turn. To ask for
//! one alone would measure how well it is remembered.

use anyhow::{Context as _, Result};
use testbed::{
    client::Api,
    http::Reply,
    sessions::{self, Owned},
    stack::Stack,
};

use crate::{Setup, load::Load};

/// Whose session it is.
pub(crate) const ORGANIZATION: &str = "bench";

/// So many are linked.
pub(crate) const SESSIONS: usize = 32;

/// berth with linked sessions in it, and what it answers when asked for one.
#[derive(Debug)]
pub(crate) struct Served {
    /// It, and what is around it.
    pub(crate) stack: Stack,
    /// Asks for its sessions as whoever made them.
    pub(crate) api: Api,
    /// Their ids.
    pub(crate) sessions: Vec<String>,
    /// How it answers for one of them.
    pub(crate) reply: Reply,
}

impl Served {
    /// Starts it and links its sessions. `database` is its URL, or SQLite in a folder of its own.
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

    /// Its sessions, asked for by this caller; the first answers say what all must be.
    pub(crate) fn load(&self, api: &Api, connections: usize) -> Result<Load> {
        Load::of(api, self.sessions.iter().map(|session| sessions::path(session)), connections)
    }

    /// The process that answers.
    pub(crate) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }
}

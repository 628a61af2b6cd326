//! berth as most measurements ask it: with one linked session, which is what they ask for.

use anyhow::{Context as _, Result};

use super::{Stand, line::request, load::Load};
use crate::{
    client::Api,
    exchange::{self, Reply},
    sessions::{self, Owned},
    stack::Stack,
};

/// Whose session it is.
pub(super) const ORGANIZATION: &str = "bench";

/// berth with a linked session in it, and what it answers when asked for that.
#[derive(Debug)]
pub(super) struct Served {
    /// It, and what is around it.
    pub(super) stack: Stack,
    /// Asks for its session as whoever made it.
    pub(super) api: Api,
    /// Its session.
    pub(super) session: String,
    /// How it answers.
    pub(super) reply: Reply,
}

impl Served {
    /// Starts it and links a session. `database` is its URL, or SQLite in a folder of its own.
    pub(super) fn start(
        stand: &Stand,
        name: &str,
        database: Option<String>,
        settings: &[(&'static str, String)],
    ) -> Result<Self> {
        let logs = stand.scratch.path();
        let stack = Stack::start(&stand.programs, name, logs, database, settings)?;
        let api = stack.api.asked_by(Some(stack.key(ORGANIZATION, &["manage"])?));
        let session = Owned::create(&api, "bench").context(name.to_owned())?;
        session.link(&stack.phones.new_phone("Bench")?).with_context(|| stack.tail())?;
        let session = session.id.clone();
        let reply = api.exchange("GET", &sessions::path(&session), &[], None)?.expect(200)?;
        Ok(Self { stack, api, session, reply })
    }

    /// Its session, asked for by this caller; the first answer says what all must be.
    pub(super) fn load(&self, api: &Api, connections: usize) -> Result<Load> {
        let path = sessions::path(&self.session);
        let reply = api.exchange("GET", &path, &[], None)?;
        let address = exchange::address(api.base())?;
        let request = request("GET", address, &path, api.credential());
        let (status, body) = (reply.status, reply.body);
        Ok(Load { address, request, status, body, connections })
    }

    /// The process that answers.
    pub(super) fn process(&self) -> Result<u32> {
        self.stack.berth_id().context("berth does not run")
    }
}

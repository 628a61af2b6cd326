//! Messages: the way of deliveries into the store, texts from phone to stream and from caller to phone,
//! the memory of active chats, and `GET` of a session beside the traffic.

mod bare_client;
mod beside;
mod conversations;
mod delay;
mod end_to_end;
mod exchange;
mod memory;
mod prepared;
mod stand_in;
mod store;
mod streamed;

use anyhow::{Context as _, Result};
use testbed::{postgres::Cluster, process};

use crate::{
    Setup,
    chapter::{Chapter, Table},
    figure::{Findings, shown},
};

/// The seal key of routers on PostgreSQL. On SQLite a router creates its own.
const SEAL_KEYS: &str = "bench=YmVydGggYmVuY2ggc2VhbCBrZXkgb2YgMzIgYnl0ZXM=";
/// The words of every text, behind its number.
const TEXT: &str = "a text of ordinary length, as people write";

/// Runs the measurement.
pub(crate) fn measure(setup: &Setup) -> Result<Chapter> {
    process::allow_connections()?;
    let mut found = Findings::default();
    store::measure(setup, &mut found).context("the way into the store")?;
    beside::measure(setup, &mut found).context("GET beside messages")?;
    end_to_end::measure(setup, &mut found).context("end to end")?;
    memory::measure(setup, &mut found).context("the memory of active chats")?;
    let mut table = Table::new(["messages", "berth", "reference", "ratio"]);
    for figure in found.figures {
        table.row(figure.row());
    }
    Ok(Chapter {
        title: "Messages",
        method: method(setup),
        table,
        findings: found.sentences,
        broken: Vec::new(),
    })
}

/// The name of a database with its server; `None` means SQLite.
fn databases() -> Result<[(&'static str, Option<Cluster>); 2]> {
    Ok([("SQLite", None), ("PostgreSQL", Some(Cluster::start_durable()?))])
}

fn method(setup: &Setup) -> String {
    let size = setup.size;
    format!(
        "*Store*: a stand-in node, which speaks the protocol of nodes and has no WhatsApp, delivers {} \
         received texts of {} sessions a round over {} connections, {} items of {} sessions a request, {} \
         chats a session; the requests are prepared, and an answer that does not acknowledge every item \
         fails the measurement. Bodies are sealed. The reference is the database alone: the rows that berth \
         wrote in the round are read back, and a bare client writes the same rows into a copy of the \
         database with the same indexes, in the same batches, one transaction each: messages and events \
         inserted, chats and counters replaced by their final rows. On PostgreSQL the bare client is \
         tokio-postgres over as many connections, with one prepared statement for each table; on SQLite it \
         is rusqlite in one thread with a prepared statement for a row, with journal WAL and \
         `synchronous=FULL`. *GET*: a session is requested over {} connections without a pause while the \
         stand-in node delivers {} messages a second in requests of {}; the reference is the same without \
         messages. The last row is hyper alone, whose requests share the cores with the same traffic. \
         *Received* and *sent*: {} sessions are linked to simulated phones, and each writes with the phone \
         of another account in one chat, {} texts a round and direction, and then sends as many to {} \
         phones in turn. Received texts count until a client of the event stream has read all; sent texts \
         are accepted with `?async` over {} connections, without a limit of the rate, and count until the \
         stream has told that WhatsApp has all. The reference is {} pairs of simulated accounts, each with \
         the engine as a linked device and without berth, which exchange the same texts in both directions; \
         the engine encrypts and decrypts each of them, in berth's case it does one of both. *Delay*: {} \
         texts a second on a schedule. From phone to stream, the time runs from the request to the \
         simulated phone until the client of the stream has read the event; from acceptance to `sent`, from \
         the answer 202 until the client has read that status. *Memory*: {} sessions on one node, on \
         SQLite; contacts write two texts in each chat, and the resident memory of the node is read when it \
         no longer changes. The engine has at most {} lanes (chats with a task of their own) in each \
         session. {} rounds; the table shows median and range, and ratios are taken round by round. \
         Clients, the simulated WhatsApp and berth run on the same cores.",
        shown(size.items),
        shown(prepared::SESSIONS),
        prepared::LANES,
        prepared::ITEMS,
        prepared::SESSIONS_OF_LANE,
        prepared::CHATS,
        beside::CONNECTIONS,
        shown(beside::RATE),
        beside::ITEMS,
        conversations::CONVERSATIONS,
        shown(size.texts),
        conversations::CONTACTS,
        end_to_end::CONNECTIONS,
        conversations::CONVERSATIONS,
        delay::RATE,
        shown(size.node_sessions),
        memory::LANE_LIMIT,
        size.rounds,
    )
}

//! PostgreSQL alone: tokio-postgres with a prepared statement for each table, over as many connections
//! as the node has.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use testbed::{parallel::run_on_threads, postgres::Cluster};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};
use tokio_postgres::{Client, NoTls, Statement};

use crate::messages::{
    prepared::{LANES, PreparedRound, SESSIONS_OF_LANE, id_prefix, prefix_length},
    stand_in::StandIn,
};

/// Upper bound of a round.
const PATIENCE: Duration = Duration::from_secs(300);
const COUNT: &str = "SELECT count(*) FROM messages";
/// The parameter of each statement is a list of rows in PostgreSQL's own notation.
const WRITES: [&str; 4] = [
    "UPDATE session_messaging AS old SET version = new.version, sequence = new.sequence, \
     last_chat = new.last_chat, last_message = new.last_message, account = new.account, \
     journal = new.journal, journal_sequence = new.journal_sequence \
     FROM unnest($1::text::session_messaging[]) AS new \
     WHERE old.organization = new.organization AND old.session = new.session",
    "INSERT INTO chats SELECT * FROM unnest($1::text::chats[]) \
     ON CONFLICT (organization, session, id) DO UPDATE SET contact_name = excluded.contact_name, \
     push_name = excluded.push_name, unread = excluded.unread, last_at = excluded.last_at, \
     last_message = excluded.last_message, has_inbound = excluded.has_inbound",
    "INSERT INTO messages SELECT * FROM unnest($1::text::messages[])",
    "INSERT INTO events (id, organization, session, stream, sequence, name, at, actor_kind, \
     actor_name, payload) SELECT id, organization, session, stream, sequence, name, at, actor_kind, \
     actor_name, payload FROM unnest($1::text::events[])",
];
const COUNTERS: &str =
    "SELECT array_agg(c)::text FROM session_messaging AS c WHERE session = ANY($1)";
const CHATS: &str = "SELECT array_agg(c)::text FROM chats AS c WHERE session = ANY($1)";
const MESSAGES: &str = "SELECT left(wa_id, $3) AS batch, array_agg(m ORDER BY session, id)::text \
     FROM messages AS m WHERE wa_id >= $1 AND wa_id < $2 GROUP BY 1 ORDER BY 1";
/// A session's events are spread evenly over the batches.
const EVENTS: &str = "SELECT array_agg(part.e ORDER BY part.position)::text FROM ( \
        SELECT e, position, ntile($3) OVER (PARTITION BY session ORDER BY sequence) AS turn \
        FROM events AS e WHERE session = ANY($1) AND stream = 'messages' AND position > $2 \
     ) AS part GROUP BY part.turn ORDER BY part.turn";

/// berth's database and its copy.
pub(in crate::messages) struct CopiedDatabase {
    runtime: Runtime,
    of_berth: Client,
    copies: Vec<CopyConnection>,
    /// Position of the newest event that is in the copy.
    copied: i64,
}

/// A connection to the copy with its statements.
struct CopyConnection {
    client: Client,
    writes: Vec<Statement>,
}

/// The rows of a transaction, in the order of [`WRITES`].
type DatabaseRows = [String; 4];

impl CopiedDatabase {
    pub(super) fn copy(cluster: &Cluster, database: &str, copy: &str) -> Result<Self> {
        cluster.query("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {database}"))?;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let of_berth = runtime.block_on(connect(&cluster.url(database)))?;
        let mut copies = Vec::new();
        for _ in 0..LANES {
            copies.push(runtime.block_on(CopyConnection::open(&cluster.url(copy)))?);
        }
        let mut server = Self { runtime, of_berth, copies, copied: 0 };
        server.copied = server.newest()?;
        Ok(server)
    }

    pub(super) fn counts(&self) -> Result<(usize, usize)> {
        let count = |client: &Client| -> Result<usize> {
            let row = self.runtime.block_on(client.query_one(COUNT, &[]))?;
            Ok(usize::try_from(row.get::<_, i64>(0))?)
        };
        let copy = self.copies.first().context("no connections")?;
        Ok((count(&self.of_berth)?, count(&copy.client)?))
    }

    pub(super) fn repeat(&mut self, node: &StandIn, round: &PreparedRound) -> Result<f64> {
        let reading = self.read(node, round);
        let lanes = self.runtime.block_on(async { timeout(PATIENCE, reading).await })??;
        self.copied = self.newest()?;
        let began = Instant::now();
        run_on_threads(LANES, |lane| {
            let copy = self.copies.get(lane).context("no connection")?;
            let writing = async {
                for batch in &lanes[lane] {
                    copy.write(batch).await?;
                }
                Ok::<_, anyhow::Error>(())
            };
            self.runtime.block_on(async { timeout(PATIENCE, writing).await })??;
            Ok(Vec::<()>::new())
        })?;
        Ok(began.elapsed().as_secs_f64())
    }

    fn newest(&self) -> Result<i64> {
        let text = "SELECT coalesce(max(position), 0) FROM events";
        Ok(self.runtime.block_on(self.of_berth.query_one(text, &[]))?.get(0))
    }

    /// Reads the rows of a round, batch by batch for each lane.
    async fn read(&self, node: &StandIn, round: &PreparedRound) -> Result<Vec<Vec<DatabaseRows>>> {
        let prefix = i32::try_from(prefix_length())?;
        let range = [id_prefix(round.first), id_prefix(round.end)];
        let rows = self.of_berth.query(MESSAGES, &[&range[0], &range[1], &prefix]).await?;
        let messages: Vec<String> = rows.iter().map(|row| row.get(1)).collect();
        let mut lanes = Vec::new();
        for (lane, sessions) in node.sessions.chunks(SESSIONS_OF_LANE).enumerate() {
            let turns = i32::try_from(round.lanes[lane].len())?;
            let chats: String = self.of_berth.query_one(CHATS, &[&sessions]).await?.get(0);
            let counters: String = self.of_berth.query_one(COUNTERS, &[&sessions]).await?.get(0);
            let events = self.of_berth.query(EVENTS, &[&sessions, &self.copied, &turns]).await?;
            let batches = round.lanes[lane].iter().zip(&events).map(|(batch, events)| {
                let messages = messages.get(batch.number - round.first).context("no messages")?;
                Ok([counters.clone(), chats.clone(), messages.clone(), events.get(0)])
            });
            let batches = batches.collect::<Result<Vec<_>>>()?;
            anyhow::ensure!(batches.len() == round.lanes[lane].len(), "events are missing");
            lanes.push(batches);
        }
        Ok(lanes)
    }
}

impl CopyConnection {
    async fn open(url: &str) -> Result<Self> {
        let client = connect(url).await?;
        let mut writes = Vec::new();
        for text in WRITES {
            writes.push(client.prepare(text).await?);
        }
        Ok(Self { client, writes })
    }

    async fn write(&self, batch: &DatabaseRows) -> Result<()> {
        self.client.batch_execute("BEGIN").await?;
        for (statement, rows) in self.writes.iter().zip(batch) {
            self.client.execute(statement, &[rows]).await?;
        }
        self.client.batch_execute("COMMIT").await?;
        Ok(())
    }
}

async fn connect(url: &str) -> Result<Client> {
    let connected = timeout(PATIENCE, tokio_postgres::connect(url, NoTls)).await;
    let (client, connection) = connected.map_err(|_| anyhow!("PostgreSQL does not answer"))??;
    tokio::spawn(async move {
        let _ = connection.await; // the client reports the error
    });
    Ok(client)
}

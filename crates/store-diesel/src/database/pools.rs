//! The connections of each engine, with the batchers that use them.

use std::{path::Path, sync::Arc};

use diesel_async::{AsyncPgConnection, pooled_connection::deadpool::Pool};

use crate::{
    Config, StoreError,
    batch::{
        batched_lookup::BatchedLookup,
        group_commit::{self, GroupCommit, WritePools},
    },
    engine::{
        postgres::{
            health::Health,
            organization_permits::OrganizationPermits,
            pipelined_pool::PipelinedPool,
            pool::connections,
            server::{BATCH_SETTINGS, FEED_SETTINGS, LOOKUP_SETTINGS, PostgresServer},
        },
        sqlite::{
            connect::{SqliteConnection, readers},
            inline_reader::InlineReader,
            writer::Writer,
        },
    },
};

/// Connections for the feed: one for the tail, and two for readers that are behind.
const FEED_CONNECTIONS: u32 = 3;

/// Connections for deliveries of nodes and for the outbox.
const MESSAGE_CONNECTIONS: u32 = 4;

/// Connections to a PostgreSQL server, and the health of the server.
#[derive(Clone)]
pub(crate) struct PostgresPool {
    pub(crate) connections: Pool<AsyncPgConnection>,
    /// For reads of events and of webhooks in the order of an index.
    pub(crate) feed: Pool<AsyncPgConnection>,
    /// For messages of all organizations, which are found by their keys.
    pub(crate) messages: Pool<AsyncPgConnection>,
    /// For point lookups.
    pub(crate) lookups: Arc<PipelinedPool>,
    /// For point lookups of sessions.
    pub(crate) batched_lookup: Arc<BatchedLookup>,
    /// For single-row writes.
    pub(crate) group_commit: Arc<GroupCommit>,
    pub(crate) health: Arc<Health>,
    /// Limits the transactions that count resources of one organization.
    pub(crate) permits: Arc<OrganizationPermits>,
}

pub(crate) fn postgres(
    server: &PostgresServer,
    config: &Config,
) -> Result<PostgresPool, StoreError> {
    let health = Arc::<Health>::default();
    let single = connections(server.clone(), config.max_connections, config, health.clone())?;
    let feed = connections(server.with(FEED_SETTINGS), FEED_CONNECTIONS, config, health.clone())?;
    let by_keys = server.with(LOOKUP_SETTINGS);
    let messages = connections(by_keys.clone(), MESSAGE_CONNECTIONS, config, health.clone())?;
    let batched = by_keys.with(BATCH_SETTINGS);
    let batched = connections(batched, group_commit::BATCH_CONNECTIONS, config, health.clone())?;
    let lookups = Arc::new(PipelinedPool::new(by_keys, config, health.clone()));
    let batched_lookup = Arc::new(BatchedLookup::new(lookups.clone(), config.deadline));
    let group_commit = Arc::new(GroupCommit::new(WritePools {
        single: single.clone(),
        batched,
        health: health.clone(),
        silence_limit: config.deadline.saturating_mul(3),
    }));
    let permits = Arc::default();
    Ok(PostgresPool {
        connections: single,
        feed,
        messages,
        lookups,
        batched_lookup,
        group_commit,
        health,
        permits,
    })
}

pub(crate) fn sqlite(file: &Path, config: &Config) -> Result<SqlitePools, StoreError> {
    let writer = Writer::start(file.to_owned(), config.acquire_timeout)
        .map_err(|error| StoreError::Unavailable(error.into()))?;
    Ok(SqlitePools {
        file: file.into(),
        writer,
        read: readers(file, config)?,
        inline_reader: Arc::new(InlineReader::new(file.to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use diesel::{QueryableByName, sql_types::BigInt};

    use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

    use super::*;
    use crate::engine::sqlite::connect::create;

    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = BigInt)]
        value: i64,
    }

    macro_rules! setting {
        ($conn:expr, $name:expr) => {{
            let query = format!("SELECT {0} AS value FROM pragma_{0}", $name);
            let setting: Setting =
                diesel::sql_query(query).get_result($conn).await.expect("a setting");
            setting.value
        }};
    }

    async fn writer_setting(pools: &SqlitePools, name: &'static str) -> i64 {
        let answer = pools.writer.write(async move |conn| Ok(setting!(conn, name)));
        answer.await.expect("an answer")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writer_syncs_before_it_answers_and_readers_cannot_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("berth.db");
        create(&file).await.expect("it is made");
        let pools = sqlite(&file, &Config::new("")).expect("pools");
        assert_eq!(writer_setting(&pools, "synchronous").await, 2, "FULL");
        assert_eq!(writer_setting(&pools, "foreign_keys").await, 1);
        assert_eq!(writer_setting(&pools, "journal_size_limit").await, 16 << 20);
        assert_eq!(writer_setting(&pools, "temp_store").await, 2, "MEMORY");
        assert_eq!(writer_setting(&pools, "query_only").await, 0);
        let mut conn = pools.read.get().await.expect("a connection");
        assert_eq!(setting!(&mut conn, "query_only"), 1);
        conn.batch_execute("CREATE TABLE x (y)").await.expect_err("a reader writes nothing");
    }
}

#[derive(Clone)]
pub(crate) enum Pools {
    Postgres(PostgresPool),
    Sqlite(SqlitePools),
}

#[derive(Clone)]
pub(crate) struct SqlitePools {
    pub(crate) file: Arc<Path>,
    pub(crate) writer: Writer,
    pub(crate) read: Pool<SqliteConnection>,
    /// For point lookups.
    pub(crate) inline_reader: Arc<InlineReader>,
}

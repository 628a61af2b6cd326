//! Implements the lookup of session versions for waiting requests. A waiter learns only that a
//! session changed, and then reads the session in its own scope.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{
    SessionId, Version,
    ports::{PortResult, VersionLookup},
};

use crate::{
    Database,
    database::statements::with_conn,
    rows::{
        column::{from_bigint, to_json},
        messaging_keys::SessionKeyRow,
    },
    schema::sessions,
    scope::{self, bound_query::prepared_query, messaging::versions_statement},
    tables::id_chunks::id_chunks,
};

#[async_trait]
impl VersionLookup for Database {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        let mut versions = HashMap::with_capacity(ids.len());
        for ids in id_chunks(ids) {
            let rows: Vec<(String, i64)> = self
                .run(|database| async move {
                    with_conn!(database, read, |conn| {
                        scope::any_of_sessions(&ids)
                            .select((sessions::id, sessions::version))
                            .load(conn)
                            .await
                    })
                })
                .await?;
            versions.extend(rows.into_iter().filter_map(id_and_version));
        }
        Ok(versions)
    }
}

/// The versions of sessions' messages, as versions of the sessions.
struct MessagingVersions(Database);

/// The version of a session's messages.
#[derive(QueryableByName)]
struct VersionRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

impl Database {
    /// Returns a lookup of the versions of sessions' messages.
    pub fn messaging_versions(&self) -> Arc<dyn VersionLookup> {
        Arc::new(MessagingVersions(self.clone()))
    }
}

#[async_trait]
impl VersionLookup for MessagingVersions {
    async fn versions(&self, ids: &[SessionId]) -> PortResult<HashMap<SessionId, Version>> {
        let list = to_json("session_messaging", &SessionKeyRow::all(ids))?;
        let rows: Vec<VersionRow> = self
            .0
            .run(|database| async move {
                let statement = versions_statement(database.kind());
                with_conn!(database, messages, |conn| {
                    prepared_query!(&statement, Text: &list).load(conn).await
                })
            })
            .await?;
        let row = |VersionRow { id, version }| id_and_version((id, version));
        Ok(rows.into_iter().filter_map(row).collect())
    }
}

/// Returns `None` for an unreadable row, which counts as deleted; the waiter's own read reports the
/// error.
fn id_and_version((id, version): (String, i64)) -> Option<(SessionId, Version)> {
    Some((SessionId::parse(&id)?, Version(from_bigint(version)?)))
}

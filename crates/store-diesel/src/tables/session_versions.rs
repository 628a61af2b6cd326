//! Implements the lookup of session versions for waiting requests. A waiter learns only that a
//! session changed, and then reads the session in its own scope.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    SessionId, Version,
    ports::{PortResult, VersionLookup},
};

use crate::{
    Database, database::statements::with_conn, rows::column::from_bigint, schema::sessions, scope,
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

/// Returns `None` for an unreadable row, which counts as deleted; the waiter's own read reports the
/// error.
fn id_and_version((id, version): (String, i64)) -> Option<(SessionId, Version)> {
    Some((SessionId::parse(&id)?, Version(from_bigint(version)?)))
}

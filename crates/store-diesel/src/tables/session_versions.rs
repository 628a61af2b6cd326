//! How far sessions of all organizations were written: for those who wait for them, and are told no more
//! than that there is something to look for.

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

/// A session and its version. One that cannot be is as good as gone: who looks for it hears of that.
fn id_and_version((id, version): (String, i64)) -> Option<(SessionId, Version)> {
    Some((SessionId::parse(&id)?, Version(from_bigint(version)?)))
}

//! Implements the session store for callers: every statement contains the caller's scope.

use async_trait::async_trait;
use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Commit, GatewayId, PartialSession, Scope, Session, SessionId, SessionWrite,
    ports::{CommitOutcome, PortResult, SessionPage, SessionStore},
};

use crate::{
    Database, StoreError,
    database::{pools::Pools, statements::with_conn},
    engine::sqlite::inline_reader::inline_lookup,
    rows::{column::from_bigint, session::SessionRow},
    schema::sessions,
    scope::{self, ScopedSessionId, session_lists::SessionQuery},
};

#[async_trait]
impl SessionStore for Database {
    async fn find(&self, scope: &Scope, id: &SessionId) -> PortResult<Option<Session>> {
        let scoped_id = ScopedSessionId::new(scope, id);
        let pools = match &self.pools {
            Pools::Sqlite(pools) => pools,
            Pools::Postgres(pool) => {
                return pool
                    .batched_lookup
                    .session(scoped_id)
                    .await
                    .map_err(StoreError::as_port_error);
            }
        };
        let epoch = pools.read_cache.epoch();
        if let Some(Ok(session)) = epoch.as_ref().map(|epoch| epoch.session(&scoped_id)) {
            return Ok(session);
        }
        let row = inline_lookup!(pools.inline_reader, SessionRow, scope::session(&scoped_id))?;
        let session = row.map(Session::try_from).transpose()?;
        if let Some(epoch) = epoch {
            epoch.insert_session(scoped_id, session.as_ref());
        }
        Ok(session)
    }

    async fn list(&self, scope: &Scope, page: &SessionPage) -> PortResult<Vec<Session>> {
        self.session_page(SessionQuery::for_caller(scope, page)).await
    }

    async fn commit(
        &self,
        scope: &Scope,
        commit: &Commit<SessionWrite>,
    ) -> PortResult<CommitOutcome> {
        self.commit_session(scope, commit).await
    }

    async fn partial_session(
        &self,
        scope: &Scope,
        id: &SessionId,
    ) -> PortResult<Option<PartialSession>> {
        let (scoped_id, id) = (ScopedSessionId::new(scope, id), id.clone());
        self.run(|database| async move {
            let row: Option<(Option<String>, i64, Option<String>, i64, i64, Option<i64>)> =
                with_conn!(database, read, |conn| {
                    scope::session(&scoped_id)
                        .select((
                            sessions::gateway,
                            sessions::epoch,
                            sessions::identity,
                            sessions::sequence,
                            sessions::version,
                            scope::last_event_sequence(),
                        ))
                        .get_result(conn)
                        .await
                        .optional()
                })?;
            let Some((gateway, epoch, identity, sequence, version, last_event)) = row else {
                return Ok(None);
            };
            let known = gateway.as_deref().and_then(GatewayId::parse);
            Ok(Some(PartialSession {
                id,
                is_on_unknown_node: gateway.is_some() && known.is_none(),
                gateway: known,
                epoch: from_bigint(epoch),
                linked: identity.is_some(),
                sequence: last_event
                    .into_iter()
                    .chain([sequence])
                    .filter_map(from_bigint)
                    .max()
                    .unwrap_or(0),
                stored_version: version,
            }))
        })
        .await
    }
}

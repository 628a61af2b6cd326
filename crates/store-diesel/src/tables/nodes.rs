//! Implements the node store.

use async_trait::async_trait;
use diesel::{OptionalExtension, dsl::case_when, prelude::*, upsert::excluded};
use diesel_async::RunQueryDsl;
use domain::{
    GatewayId, Node, Timestamp,
    ports::{NodeStore, PortResult},
};

use crate::{
    Database, StoreError,
    database::statements::with_conn,
    rows::{column::from_bigint, node::NodeRow, readable::readable},
    schema::gateways,
};

/// Whether the registering process is the stored one and not marked as lost.
macro_rules! is_same_process {
    () => {
        gateways::incarnation.eq(excluded(gateways::incarnation)).and(gateways::lost_at.is_null())
    };
}

#[async_trait]
impl NodeStore for Database {
    async fn register(&self, node: &Node) -> PortResult<u64> {
        let (row, id) = (NodeRow::first(node)?, node.id.to_string());
        self.run(|database| async move {
            // One statement, so that two processes with one id cannot get the same generation.
            let boot: i64 = with_conn!(database, write, |conn| {
                diesel::insert_into(gateways::table)
                    .values(&row)
                    .on_conflict(gateways::id)
                    .do_update()
                    .set((
                        gateways::boot.eq(case_when(is_same_process!(), gateways::boot)
                            .otherwise(gateways::boot + 1)),
                        gateways::beat_at.eq(case_when(is_same_process!(), gateways::beat_at)
                            .otherwise(excluded(gateways::beat_at))),
                        gateways::incarnation.eq(excluded(gateways::incarnation)),
                        gateways::address.eq(excluded(gateways::address)),
                        gateways::version.eq(excluded(gateways::version)),
                        gateways::features.eq(excluded(gateways::features)),
                        gateways::capacity.eq(excluded(gateways::capacity)),
                        gateways::held.eq(excluded(gateways::held)),
                        gateways::lost_at.eq(excluded(gateways::lost_at)),
                    ))
                    .returning(gateways::boot)
                    .get_result(conn)
                    .await
            })?;
            from_bigint(boot).ok_or_else(|| StoreError::corrupt("gateways.boot", &id))
        })
        .await
    }

    async fn heartbeat(
        &self,
        id: &GatewayId,
        incarnation: &str,
        held: u32,
        since: Timestamp,
    ) -> PortResult<bool> {
        let (id, incarnation) = (id.to_string(), incarnation.to_owned());
        self.run(|database| async move {
            let beaten = with_conn!(database, write, |conn| {
                let row = gateways::table
                    .filter(gateways::id.eq(&id))
                    .filter(gateways::incarnation.eq(&incarnation))
                    .filter(gateways::lost_at.is_null());
                let since = since.millis();
                // A heartbeat never shortens a lease, in whatever order heartbeats arrive.
                let later =
                    case_when(gateways::beat_at.gt(since), gateways::beat_at).otherwise(since);
                diesel::update(row)
                    .set((gateways::held.eq(i64::from(held)), gateways::beat_at.eq(later)))
                    .execute(conn)
                    .await
            })?;
            Ok(beaten > 0)
        })
        .await
    }

    async fn find(&self, id: &GatewayId) -> PortResult<Option<Node>> {
        let id = id.to_string();
        self.run(|database| async move {
            let row: Option<NodeRow> = with_conn!(database, read, |conn| {
                gateways::table
                    .filter(gateways::id.eq(&id))
                    .select(NodeRow::as_select())
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            row.map(Node::try_from).transpose()
        })
        .await
    }

    async fn list(&self) -> PortResult<Vec<Node>> {
        self.run(|database| async move {
            let rows: Vec<NodeRow> = with_conn!(database, read, |conn| {
                gateways::table
                    .order(gateways::id.asc())
                    .select(NodeRow::as_select())
                    .load(conn)
                    .await
            })?;
            Ok(readable(rows))
        })
        .await
    }

    async fn mark_lost(
        &self,
        id: &GatewayId,
        incarnation: &str,
        silent_since: Timestamp,
        now: Timestamp,
    ) -> PortResult<bool> {
        let (id, incarnation) = (id.to_string(), incarnation.to_owned());
        self.run(|database| async move {
            let lost = with_conn!(database, write, |conn| {
                let row = gateways::table
                    .filter(gateways::id.eq(&id))
                    .filter(gateways::incarnation.eq(&incarnation))
                    .filter(gateways::beat_at.lt(silent_since.millis()))
                    .filter(gateways::lost_at.is_null());
                diesel::update(row).set(gateways::lost_at.eq(now.millis())).execute(conn).await
            })?;
            Ok(lost > 0)
        })
        .await
    }
}

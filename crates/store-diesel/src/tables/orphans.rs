//! Implements the store of orphans: sessions that a node holds and that have neither a row nor a
//! cleanup.
//!
//! Decision: ADR 0035.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use diesel::{dsl::max, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    GatewayId, HeldSession, Orphan, SessionId, Timestamp,
    ports::{OrphanStore, PortResult},
};

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    rows::{
        column::{from_bigint, to_bigint},
        orphan::OrphanRow,
    },
    schema::{events, orphans},
    scope,
};

/// The changes between the stored orphans of a node and the current ones.
struct OrphanChanges {
    gateway: String,
    gone: Vec<String>,
    new: Vec<OrphanRow>,
    confirmed: Vec<SessionId>,
}

impl OrphanChanges {
    fn of(
        gateway: &GatewayId,
        stored: Vec<(String, bool)>,
        held: &[HeldSession],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let gateway = gateway.to_string();
        let is_held: HashSet<_> = held.iter().map(|held| held.session.as_str()).collect();
        let (stays, gone): (Vec<_>, Vec<_>) =
            stored.into_iter().partition(|(session, _)| is_held.contains(session.as_str()));
        let stays: HashMap<_, _> = stays.into_iter().collect();
        let mut changes = Self {
            gateway,
            gone: gone.into_iter().map(|(session, _)| session).collect(),
            new: Vec::new(),
            confirmed: Vec::new(),
        };
        for HeldSession { session, epoch } in held {
            match stays.get(session.as_str()) {
                Some(true) => {}
                Some(false) => changes.confirmed.push(session.clone()),
                None => changes.new.push(OrphanRow {
                    gateway: changes.gateway.clone(),
                    session: session.to_string(),
                    epoch: to_bigint("orphans.epoch", *epoch)?,
                    since: now.millis(),
                    told: false,
                }),
            }
        }
        Ok(changes)
    }

    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty() && self.confirmed.is_empty()
    }
}

#[async_trait]
impl OrphanStore for Database {
    async fn note_orphans(
        &self,
        gateway: &GatewayId,
        held: &[HeldSession],
        now: Timestamp,
    ) -> PortResult<Vec<SessionId>> {
        let (gateway, held) = (gateway.clone(), held.to_vec());
        self.run(move |database| async move {
            let name = gateway.to_string();
            let stored: Vec<(String, bool)> = with_conn!(database, read, |conn| {
                let rows = orphans::table.filter(orphans::gateway.eq(&name));
                rows.select((orphans::session, orphans::told)).load(conn).await
            })?;
            let changes = OrphanChanges::of(&gateway, stored, &held, now)?;
            // The usual case: a node holds only sessions that it was told to hold.
            if changes.is_empty() {
                return Ok(Vec::new());
            }
            with_transaction!(database, |conn| {
                let of_node = || orphans::table.filter(orphans::gateway.eq(&changes.gateway));
                for session in &changes.gone {
                    let row = of_node().filter(orphans::session.eq(session));
                    diesel::delete(row).execute(conn).await?;
                }
                for row in &changes.new {
                    let insert = diesel::insert_into(orphans::table).values(row);
                    insert.on_conflict_do_nothing().execute(conn).await?;
                }
                for session in &changes.confirmed {
                    let row = of_node().filter(orphans::session.eq(session.as_str()));
                    diesel::update(row).set(orphans::told.eq(true)).execute(conn).await?;
                }
                Ok(changes.confirmed)
            })
        })
        .await
    }

    async fn orphans(&self) -> PortResult<Vec<Orphan>> {
        self.run(|database| async move {
            let rows: Vec<OrphanRow> = with_conn!(database, read, |conn| {
                let reported = orphans::table.filter(orphans::told.eq(true));
                let sorted = reported.order((orphans::gateway.asc(), orphans::session.asc()));
                sorted.select(OrphanRow::as_select()).load(conn).await
            })?;
            // An unreadable row is left out of the list and hides no other row.
            Ok(rows.iter().filter_map(OrphanRow::orphan).collect())
        })
        .await
    }

    async fn last_event_sequence(&self, session: &SessionId) -> PortResult<u64> {
        let session = session.to_string();
        self.run(|database| async move {
            let last: Option<i64> = with_conn!(database, read, |conn| {
                let events_of_id = scope::any_events_of_session(&session);
                events_of_id.select(max(events::sequence)).get_result(conn).await
            })?;
            Ok(last.and_then(from_bigint).unwrap_or(0))
        })
        .await
    }
}

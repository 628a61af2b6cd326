//! Spent tickets. A ticket belongs to no organization until it is opened, so its row has none.
//!
//! Decision: ADR 0046.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domain::{
    Timestamp,
    ports::{PortResult, TicketDigest, TicketStore},
};

use crate::{
    Database, StoreError,
    database::statements::{with_conn, with_transaction},
    schema::spent_tickets,
    tables::remove_oldest::remove_oldest,
};

#[async_trait]
impl TicketStore for Database {
    async fn spend(&self, ticket: TicketDigest, expires_at: Timestamp) -> PortResult<bool> {
        self.run(move |database| async move {
            let inserted = with_transaction!(database, |conn| {
                let row = (
                    spent_tickets::digest.eq(ticket.0.as_slice()),
                    spent_tickets::expires_at.eq(expires_at.millis()),
                );
                Ok(diesel::insert_into(spent_tickets::table)
                    .values(row)
                    .on_conflict_do_nothing()
                    .execute(conn)
                    .await?)
            })?;
            Ok(inserted > 0)
        })
        .await
    }
}

impl Database {
    /// Removes records of tickets that expired before a time; returns the number of removed rows.
    pub(crate) async fn remove_spent_tickets(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let (last_moment, expires_at) = (before.millis() - 1, spent_tickets::expires_at);
        let expired = move |until| spent_tickets::table.filter(expires_at.le(until));
        Ok(remove_oldest!(self, limit, last_moment, expires_at, expired))
    }
}

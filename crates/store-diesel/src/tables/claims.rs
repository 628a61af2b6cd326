//! Selects the rows of a claim: all due rows if the claim has room for them, otherwise some of each
//! organization.
//!
//! Decision: ADR 0030.

use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{OrganizationId, ports::Claim};
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    database::statements::with_conn,
    schema::{retirements, sessions},
    scope::{
        self,
        bound_query::bound_query,
        outbox::EARLIEST,
        round_robin::{
            DueQueue, MAX_ORGANIZATIONS, QueuedOrganization, RowId, interleave,
            organizations_statement, rows_statement,
        },
    },
    tables::outbox::MessagingKeyRow,
};

impl Database {
    /// Returns the ids of the rows that a claim takes, in the order of processing.
    pub(crate) async fn due(
        &self,
        queue: DueQueue,
        claim: &Claim,
    ) -> Result<Vec<String>, StoreError> {
        let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
        let earliest_due =
            self.earliest_due(queue, claim.now.millis(), i64::from(claim.limit) + 1).await?;
        if earliest_due.len() > limit {
            return self.due_round_robin(queue, claim).await;
        }
        let mut shares = OrganizationShares::of(claim);
        let fits = |(organization, _): &(String, String)| shares.try_take(organization);
        Ok(earliest_due.into_iter().filter(fits).map(|(_, id)| id).collect())
    }

    /// Returns ids of each organization in turn, for more due rows than one claim takes.
    pub(crate) async fn due_round_robin(
        &self,
        queue: DueQueue,
        claim: &Claim,
    ) -> Result<Vec<String>, StoreError> {
        let (now, last_served) = (claim.now.millis(), self.rotation.last_served(queue));
        let mut found = self.next_organizations(queue, last_served.clone(), now).await?;
        if found.len() < usize::try_from(MAX_ORGANIZATIONS).unwrap_or(usize::MAX)
            && !last_served.is_empty()
        {
            // Wraps around to the organizations up to the start of this round.
            let rest = self.next_organizations(queue, String::new(), now).await?;
            found.extend(rest.into_iter().take_while(|found| found.organization <= last_served));
        }
        let mut served = found.last().map(|found| found.organization.clone());
        let shares = OrganizationShares::of(claim);
        let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
        let ready: Vec<_> = found
            .into_iter()
            .filter(|found| found.first.is_some())
            .map(|found| (shares.remaining(&found.organization), found.organization))
            .filter(|(remaining, _)| *remaining > 0)
            .take(limit)
            .collect();
        let full = ready.len() == limit;
        let mut queues = Vec::new();
        for (remaining, organization) in ready {
            // With few organizations, each may take the share that others leave.
            let row_limit = if full { 1 } else { limit }.min(remaining);
            let row_limit = i64::try_from(row_limit).unwrap_or(i64::MAX);
            queues.push(
                self.first_ids(queue, organization.clone(), now, row_limit).await?.into_iter(),
            );
            if full {
                served = Some(organization);
            }
        }
        if let Some(organization) = served {
            self.rotation.set_last_served(queue, organization);
        }
        Ok(interleave(queues, limit))
    }

    // Boxed futures: the compiler proves once that they are `Send`, not once per caller.

    /// Returns the earliest due rows with their organizations. Usually there are none, and the read
    /// takes no lock.
    fn earliest_due(
        &self,
        queue: DueQueue,
        now: i64,
        row_limit: i64,
    ) -> BoxFuture<'_, Result<Vec<(String, String)>, StoreError>> {
        Box::pin(async move {
            match queue {
                DueQueue::Cleanups => with_conn!(self, read, |conn| {
                    scope::due_cleanups(now)
                        .select((retirements::organization, retirements::session))
                        .limit(row_limit)
                        .load(conn)
                        .await
                }),
                DueQueue::Outboxes => {
                    let rows: Vec<MessagingKeyRow> = with_conn!(self, read, |conn| {
                        bound_query!(EARLIEST, BigInt: now, BigInt: row_limit).load(conn).await
                    })?;
                    Ok(rows.into_iter().map(|row| (row.organization, row.session)).collect())
                }
                DueQueue::Sessions | DueQueue::Unplaced => with_conn!(self, read, |conn| {
                    scope::due_sessions(now)
                        .select((sessions::organization, sessions::id))
                        .limit(row_limit)
                        .load(conn)
                        .await
                }),
            }
        })
    }

    fn next_organizations(
        &self,
        queue: DueQueue,
        last_served: String,
        now: i64,
    ) -> BoxFuture<'_, Result<Vec<QueuedOrganization>, StoreError>> {
        Box::pin(async move {
            let statement = organizations_statement(queue);
            with_conn!(self, read, |conn| {
                bound_query!(&statement, Text: &last_served, BigInt: now).load(conn).await
            })
        })
    }

    fn first_ids(
        &self,
        queue: DueQueue,
        organization: String,
        now: i64,
        row_limit: i64,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(async move {
            let statement = rows_statement(queue);
            let names: Vec<RowId> = with_conn!(self, read, |conn| {
                bound_query!(&statement, Text: &organization, BigInt: now, BigInt: row_limit)
                    .load(conn)
                    .await
            })?;
            Ok(names.into_iter().map(|name| name.id).collect())
        })
    }
}

/// The remaining share of each organization in a claim.
struct OrganizationShares<'a> {
    claim: &'a Claim,
    taken: std::collections::HashMap<String, u32>,
}

impl<'a> OrganizationShares<'a> {
    fn of(claim: &'a Claim) -> Self {
        Self { claim, taken: std::collections::HashMap::new() }
    }

    /// Returns the remaining share of an organization.
    fn remaining(&self, organization: &str) -> usize {
        let taken = self.taken.get(organization).copied().unwrap_or_default();
        // A row with an invalid organization is claimed, skipped as unreadable and counted.
        let allowance = OrganizationId::parse(organization)
            .map_or(self.claim.organization_limit, |organization| {
                self.claim.allowance(&organization)
            });
        usize::try_from(allowance.saturating_sub(taken)).unwrap_or(usize::MAX)
    }

    /// Takes one row of an organization from its share, if possible.
    fn try_take(&mut self, organization: &str) -> bool {
        let may = self.remaining(organization) > 0;
        if may {
            *self.taken.entry(organization.to_owned()).or_default() += 1;
        }
        may
    }
}

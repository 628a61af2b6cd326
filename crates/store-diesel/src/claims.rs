//! Which rows a claim takes: all that are due when there is room for all, else some of each organization.

use std::sync::{Arc, Mutex, PoisonError};

use diesel::{
    prelude::*,
    sql_types::{BigInt, Text},
};
use diesel_async::RunQueryDsl;
use domain::{OrganizationId, ports::Claim};
use futures_util::future::BoxFuture;

use crate::{
    Database, StoreError,
    pool::with_conn,
    schema::{retirements, sessions},
    scope::{
        self,
        fair::{
            Name, ORGANIZATIONS, Queue, QueuedOrganization, asked, by_turns, of_organization, turns,
        },
    },
};

/// After which organization each queue goes on.
#[derive(Clone, Default)]
pub(crate) struct Rotation(Arc<Mutex<[String; 3]>>);

impl Rotation {
    fn after(&self, queue: Queue) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[queue as usize].clone()
    }

    fn go_on_after(&self, queue: Queue, organization: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[queue as usize] = organization;
    }
}

impl Database {
    /// The names of the rows that a claim takes, in the order in which they are worked on.
    pub(crate) async fn due(&self, queue: Queue, claim: &Claim) -> Result<Vec<String>, StoreError> {
        let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
        let earliest = self.earliest(queue, claim.now.millis(), i64::from(claim.limit) + 1).await?;
        if earliest.len() > limit {
            return self.by_turns(queue, claim).await;
        }
        let mut shares = Shares::of(claim);
        let fits = |(organization, _): &(String, String)| shares.take(organization);
        Ok(earliest.into_iter().filter(fits).map(|(_, id)| id).collect())
    }

    /// Some of each organization, when there is more than one claim can take.
    pub(crate) async fn by_turns(
        &self,
        queue: Queue,
        claim: &Claim,
    ) -> Result<Vec<String>, StoreError> {
        let (now, after) = (claim.now.millis(), self.rotation.after(queue));
        let mut found = self.organizations(queue, after.clone(), now).await?;
        if found.len() < usize::try_from(ORGANIZATIONS).unwrap_or(usize::MAX) && !after.is_empty() {
            // Once round: those up to where this turn began.
            let rest = self.organizations(queue, String::new(), now).await?;
            found.extend(rest.into_iter().take_while(|turn| turn.organization <= after));
        }
        let mut served = found.last().map(|turn| turn.organization.clone());
        let shares = Shares::of(claim);
        let limit = usize::try_from(claim.limit).unwrap_or(usize::MAX);
        let ready: Vec<_> = found
            .into_iter()
            .filter(|turn| turn.first.is_some())
            .map(|turn| (shares.left(&turn.organization), turn.organization))
            .filter(|(left, _)| *left > 0)
            .take(limit)
            .collect();
        let full = ready.len() == limit;
        let mut queues = Vec::new();
        for (left, organization) in ready {
            // Where there are few organizations each may take what others leave.
            let many = if full { 1 } else { limit }.min(left);
            let many = i64::try_from(many).unwrap_or(i64::MAX);
            queues.push(self.first_of(queue, organization.clone(), now, many).await?.into_iter());
            if full {
                served = Some(organization);
            }
        }
        if let Some(organization) = served {
            self.rotation.go_on_after(queue, organization);
        }
        Ok(by_turns(queues, limit))
    }

    // Boxed, each of these: the compiler proves once that they can be sent, and not for each caller.

    /// The rows that are due the longest, with their organizations: mostly there are none, and looking takes
    /// no lock.
    fn earliest(
        &self,
        queue: Queue,
        now: i64,
        many: i64,
    ) -> BoxFuture<'_, Result<Vec<(String, String)>, StoreError>> {
        Box::pin(async move {
            match queue {
                Queue::Retirements => with_conn!(self, read, |conn| {
                    scope::due_retirements(now)
                        .select((retirements::organization, retirements::session))
                        .limit(many)
                        .load(conn)
                        .await
                }),
                Queue::Sessions | Queue::Waiting => with_conn!(self, read, |conn| {
                    scope::due_sessions(now)
                        .select((sessions::organization, sessions::id))
                        .limit(many)
                        .load(conn)
                        .await
                }),
            }
        })
    }

    fn organizations(
        &self,
        queue: Queue,
        after: String,
        now: i64,
    ) -> BoxFuture<'_, Result<Vec<QueuedOrganization>, StoreError>> {
        Box::pin(async move {
            let statement = turns(queue);
            with_conn!(self, read, |conn| {
                asked!(&statement, Text: &after, BigInt: now).load(conn).await
            })
        })
    }

    fn first_of(
        &self,
        queue: Queue,
        organization: String,
        now: i64,
        many: i64,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(async move {
            let statement = of_organization(queue);
            let names: Vec<Name> = with_conn!(self, read, |conn| {
                asked!(&statement, Text: &organization, BigInt: now, BigInt: many).load(conn).await
            })?;
            Ok(names.into_iter().map(|name| name.id).collect())
        })
    }
}

/// How much more of each organization a claim may take.
struct Shares<'a> {
    claim: &'a Claim,
    taken: std::collections::HashMap<String, u32>,
}

impl<'a> Shares<'a> {
    fn of(claim: &'a Claim) -> Self {
        Self { claim, taken: std::collections::HashMap::new() }
    }

    /// How many more of this organization.
    fn left(&self, organization: &str) -> usize {
        let taken = self.taken.get(organization).copied().unwrap_or_default();
        // What has an impossible name is read nowhere; it is taken, skipped and counted.
        let allowance = OrganizationId::parse(organization)
            .map_or(self.claim.organization_limit, |organization| {
                self.claim.allowance(&organization)
            });
        usize::try_from(allowance.saturating_sub(taken)).unwrap_or(usize::MAX)
    }

    /// Takes one of this organization, if there is one left.
    fn take(&mut self, organization: &str) -> bool {
        let may = self.left(organization) > 0;
        if may {
            *self.taken.entry(organization.to_owned()).or_default() += 1;
        }
        may
    }
}

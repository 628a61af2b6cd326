//! Implements the worker's store: due work of all organizations. Only the reconciler and the
//! reports of nodes use it.

use std::collections::HashMap;

use async_trait::async_trait;
use diesel::{OptionalExtension, dsl::min, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Cleanup, Desired, ExpectedVersion, GatewayId, HeldSession, Session, SessionId, SessionUpdate,
    ShareLink, Status, SystemCommit, Timestamp,
    ports::{Claim, CommitOutcome, PortResult, SystemWrite, WorkerStore, Written},
};

use crate::{
    Database, StoreError,
    batch::mutation::{Mutation, SessionCommit},
    database::{
        pools::Pools,
        statements::{with_conn, with_transaction},
    },
    rows::{
        cleanup::{CleanupPostponement, CleanupRow},
        column::from_bigint,
        event::EventRow,
        readable::{readable, skip_unreadable},
        session::{MutableColumns, SessionRow},
        share_link::ShareLinkRowChange,
    },
    schema::{link_attempts, retirements, sessions},
    scope::{self, ExpectedRowVersion, ScopedSessionId, counts, round_robin::DueQueue},
    tables::{
        id_chunks::id_chunks,
        remove_oldest::remove_oldest,
        session_figures::count_written,
        sessions::done_or_raced,
        transaction::{RowChange, Transaction},
    },
};

#[async_trait]
impl WorkerStore for Database {
    async fn claim_sessions(&self, claim: &Claim) -> PortResult<Vec<Session>> {
        let claim = claim.clone();
        self.run(|database| async move {
            let ids = database.due(DueQueue::Sessions, &claim).await?;
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let (now, until) = (claim.now.millis(), claim.until.millis());
            let order = positions(&ids);
            // A row that another worker claimed first is no longer due: after waiting for its lock,
            // the database evaluates the condition again.
            let rows: Vec<SessionRow> = with_conn!(database, write, |conn| {
                diesel::update(scope::still_due_sessions(&ids, now))
                    .set(sessions::due.eq(until))
                    .returning(SessionRow::as_returning())
                    .get_results(conn)
                    .await
            })?;
            let mut claimed: Vec<Session> = readable(rows);
            claimed.sort_by_key(|session| order.get(session.id.as_str()).copied());
            Ok(claimed)
        })
        .await
    }

    async fn claim_cleanups(&self, claim: &Claim) -> PortResult<Vec<Cleanup>> {
        let claim = claim.clone();
        self.run(|database| async move {
            let ids = database.due(DueQueue::Cleanups, &claim).await?;
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let (now, until) = (claim.now.millis(), claim.until.millis());
            let order = positions(&ids);
            let rows: Vec<CleanupRow> = with_conn!(database, write, |conn| {
                diesel::update(scope::still_due_cleanups(&ids, now))
                    .set(retirements::due.eq(until))
                    .returning(CleanupRow::as_returning())
                    .get_results(conn)
                    .await
            })?;
            let mut claimed: Vec<Cleanup> = readable(rows);
            claimed.sort_by_key(|cleanup| order.get(cleanup.session.as_str()).copied());
            Ok(claimed)
        })
        .await
    }

    async fn next_due(&self) -> PortResult<Option<Timestamp>> {
        self.run(|database| async move {
            let session: Option<i64> = with_conn!(database, read, |conn| {
                scope::sessions_with_due_time().select(min(sessions::due)).get_result(conn).await
            })?;
            let cleanup: Option<i64> = with_conn!(database, read, |conn| {
                scope::all_cleanups().select(min(retirements::due)).get_result(conn).await
            })?;
            Ok(session.into_iter().chain(cleanup).min().map(Timestamp::from_millis))
        })
        .await
    }

    async fn find(&self, id: &SessionId) -> PortResult<Option<Session>> {
        let id = id.to_string();
        self.run(|database| async move {
            let row: Option<SessionRow> = with_conn!(database, read, |conn| {
                scope::any_session(&id)
                    .select(SessionRow::as_select())
                    .get_result(conn)
                    .await
                    .optional()
            })?;
            row.map(Session::try_from).transpose()
        })
        .await
    }

    async fn commit(&self, commit: &SystemCommit<SystemWrite>) -> PortResult<Written> {
        let (mutation, events) = (mutation_of(&commit.change)?, EventRow::all(&commit.events)?);
        if let SystemWrite::Pair { update, links } = &commit.change {
            let SessionUpdate { session, .. } = update;
            let scoped_id =
                || ScopedSessionId::of_row(session.organization.as_str(), session.id.as_str());
            let ends = links.iter().map(|link| ShareLinkRowChange::update(link, scoped_id()));
            let change = RowChange::ShareLinks(mutation, ends.collect());
            let transaction = Transaction { change, events, caller: None };
            let written = self.run_transaction(transaction).await.map(done_unless_rejected)?;
            count_written(written, &commit.events);
            return Ok(written);
        }
        let written = match &self.pools {
            Pools::Postgres(pool) => {
                let commit = SessionCommit { mutation, events };
                let changed = self.within_deadline(pool.group_commit.commit(commit)).await?;
                done_or_raced(changed)
            }
            Pools::Sqlite(_) => {
                let change = RowChange::Mutate(mutation);
                let transaction = Transaction { change, events, caller: None };
                self.within_deadline(self.transact(transaction)).await?
            }
        };
        count_written(written, &commit.events);
        Ok(written)
    }

    async fn reschedule(
        &self,
        id: &SessionId,
        expected: ExpectedVersion,
        due: Option<Timestamp>,
        failures: u32,
    ) -> PortResult<Written> {
        let id = id.to_string();
        let expected = ExpectedRowVersion::of(expected)?;
        let plan = (
            sessions::due.eq(due.map(Timestamp::millis)),
            sessions::failures.eq(i64::from(failures)),
        );
        self.run(|database| async move {
            let changed = with_conn!(database, write, |conn| {
                let row = scope::any_session_at(&id, expected);
                diesel::update(row).set(plan).execute(conn).await
            })?;
            Ok(done_or_raced(changed > 0))
        })
        .await
    }

    async fn wake_node(&self, gateway: &GatewayId, now: Timestamp) -> PortResult<()> {
        let (gateway, now) = (gateway.to_string(), now.millis());
        self.run(|database| async move {
            with_transaction!(database, |conn| {
                diesel::update(scope::idle_sessions_of_node(&gateway, now))
                    .set(sessions::due.eq(now))
                    .execute(conn)
                    .await?;
                diesel::update(scope::idle_cleanups_of_node(&gateway, now))
                    .set(retirements::due.eq(now))
                    .execute(conn)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn wake_sessions(&self, sessions: &[SessionId], now: Timestamp) -> PortResult<()> {
        let now = now.millis();
        for ids in id_chunks(sessions) {
            self.run(|database| async move {
                with_conn!(database, write, |conn| {
                    diesel::update(scope::idle_sessions(&ids, now))
                        .set(sessions::due.eq(now))
                        .execute(conn)
                        .await
                })?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn assigned_sessions(&self, gateway: &GatewayId) -> PortResult<Vec<(HeldSession, bool)>> {
        let gateway = gateway.to_string();
        self.run(|database| async move {
            let rows: Vec<(String, i64, String, String)> = with_conn!(database, read, |conn| {
                scope::sessions_of_node(&gateway)
                    .select((sessions::id, sessions::epoch, sessions::desired, sessions::status))
                    .load(conn)
                    .await
            })?;
            let held_session = |(id, epoch, desired, status): (String, i64, String, String)| {
                held_session(&id, epoch, &desired, &status)
            };
            Ok(rows.into_iter().filter_map(held_session).collect())
        })
        .await
    }

    async fn pending_cleanups(&self, gateway: &GatewayId) -> PortResult<Vec<SessionId>> {
        let gateway = gateway.to_string();
        self.run(|database| async move {
            let rows: Vec<String> = with_conn!(database, read, |conn| {
                scope::cleanups_of_node(&gateway).select(retirements::session).load(conn).await
            })?;
            let parse = |id: String| {
                SessionId::parse(&id).ok_or_else(|| StoreError::corrupt("retirements.session", &id))
            };
            Ok(rows.into_iter().filter_map(|id| skip_unreadable(parse(id))).collect())
        })
        .await
    }

    async fn wake_waiting(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(move |database| async move {
            let ids =
                database.due_round_robin(DueQueue::Unplaced, &Claim::new(now, now, limit)).await?;
            if ids.is_empty() {
                return Ok(0);
            }
            let now = now.millis();
            let woken = with_conn!(database, write, |conn| {
                diesel::update(scope::idle_sessions(&ids, now))
                    .set(sessions::due.eq(now))
                    .execute(conn)
                    .await
            })?;
            Ok(u32::try_from(woken).unwrap_or(u32::MAX))
        })
        .await
    }

    async fn sweep_idempotency_records(&self, now: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(
            move |database| async move { database.remove_idempotency_records(now, limit).await },
        )
        .await
    }

    async fn sweep_link_attempts(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let (last_moment, at) = (before.millis() - 1, link_attempts::at);
        self.run(|database| async move {
            Ok(remove_oldest!(database, limit, last_moment, at, counts::old_attempts))
        })
        .await
    }

    async fn unended_links(&self, session: &Session) -> PortResult<Vec<ShareLink>> {
        let session = session.clone();
        self.run(|database| async move { database.unended_links_of(&session).await }).await
    }

    async fn sweep_share_links(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(move |database| async move { database.remove_share_links(before, limit).await })
            .await
    }

    async fn sweep_spent_tickets(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(move |database| async move { database.remove_spent_tickets(before, limit).await })
            .await
    }

    async fn sweep_browser_sessions(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        let removal = move |database: Database| async move {
            database.remove_browser_sessions(before, limit).await
        };
        self.run(removal).await
    }

    async fn sweep_keys(&self, ended_before: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(move |database| async move { database.remove_keys(ended_before, limit).await })
            .await
    }

    async fn blank_codes(&self, died_before: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(move |database| async move { database.blank_dead_codes(died_before, limit).await })
            .await
    }

    async fn prune_feed(&self, before: Timestamp, limit: u32) -> PortResult<u32> {
        self.run(move |database| async move { database.remove_from_feed(before, limit).await })
            .await
    }

    async fn prune_audit(&self, before: Timestamp, limit: u32) -> PortResult<Option<u32>> {
        self.run(move |database| async move { database.remove_from_audit(before, limit).await })
            .await
    }
}

/// Returns the result of a commit of berth itself, which no quota rejects.
fn done_unless_rejected(outcome: CommitOutcome) -> Written {
    outcome.unwrap_or(Written::Raced)
}

fn mutation_of(change: &SystemWrite) -> Result<Mutation, StoreError> {
    Ok(match change {
        SystemWrite::Update(SessionUpdate { session, expected })
        | SystemWrite::Pair { update: SessionUpdate { session, expected }, .. } => {
            Mutation::Update(
                ScopedSessionId::of_row(session.organization.as_str(), session.id.as_str()),
                ExpectedRowVersion::of(*expected)?,
                Box::new(MutableColumns::new(session)?),
                None,
            )
        }
        SystemWrite::Postpone(cleanup) => {
            Mutation::Postpone(cleanup.session.to_string(), CleanupPostponement::new(cleanup)?)
        }
        SystemWrite::Finish(cleanup) => Mutation::Finish(cleanup.session.to_string()),
    })
}

/// Returns the position of each id: an update returns its rows in any order, and a claim keeps the
/// order of selection.
fn positions(ids: &[String]) -> HashMap<String, usize> {
    ids.iter().cloned().enumerate().map(|(rank, id)| (id, rank)).collect()
}

/// Returns a session that a node holds, and whether the node must do work for it. A session with an
/// unreadable row still belongs to the node, which would otherwise be told to close it; the worker
/// cannot read the row, so the node has no work for it.
fn held_session(id: &str, epoch: i64, desired: &str, status: &str) -> Option<(HeldSession, bool)> {
    let corrupt = |column| StoreError::corrupt(column, id);
    let session = skip_unreadable(SessionId::parse(id).ok_or_else(|| corrupt("sessions.id")))?;
    let epoch = skip_unreadable(from_bigint(epoch).ok_or_else(|| corrupt("sessions.epoch")));
    let desired =
        skip_unreadable(Desired::parse(desired).ok_or_else(|| corrupt("sessions.desired")));
    let status = skip_unreadable(Status::parse(status).ok_or_else(|| corrupt("sessions.status")));
    let needs_node = match (epoch, desired, status) {
        (Some(_), Some(desired), Some(status)) => {
            desired == Desired::Running || status != Status::Stopped
        }
        _ => false,
    };
    Some((HeldSession { session, epoch: epoch.unwrap_or_default() }, needs_node))
}

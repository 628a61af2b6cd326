//! The transaction of a commit: the change of the row, the events, the idempotency record, and the
//! quotas. Every commit can run as such a transaction; [`batch`](crate::batch) only speeds up
//! commits of sessions on PostgreSQL.
//!
//! Decision: ADR 0014.

use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;
use domain::{
    Event, OrganizationId, Resource, ResourceLimits, Scope,
    ports::{CommitOutcome, PortResult, Rejection, Written},
};

use crate::{
    Database, DatabaseKind, StoreError,
    batch::mutation::{Mutation, insert_events, write_mutation},
    database::statements::with_transaction,
    rows::{
        api_key::ApiKeyRow, event::EventRow, link_attempt::NewLinkAttempt, session::SessionRow,
        share_link::ShareLinkRowChange, usage::ResourceGrowth,
    },
    schema::{api_keys, sessions},
    scope::{self, ScopeParams, counts::octet_length},
    tables::{
        idempotency_insert::{NewIdempotencyRecord, insert_idempotency_record},
        link_attempts::count_link_attempt,
        link_writes::write_share_links,
        quotas::admit,
        webhook_writes::{WebhookChange, WebhookChangeKind, write_webhook},
    },
};

/// A commit as rows.
pub(crate) struct Transaction {
    pub(crate) change: RowChange,
    pub(crate) events: Vec<EventRow>,
    /// `None` for a commit of berth itself.
    pub(crate) caller: Option<CallerRows>,
}

/// The change of a row.
pub(crate) enum RowChange {
    /// Inserts a session, unless its id exists.
    InsertSession(Box<SessionRow>),
    /// Changes a session or a cleanup.
    Mutate(Mutation),
    /// Inserts a key, unless its id exists.
    InsertKey(Box<ApiKeyRow>),
    /// Changes a session with its share links. Writes nothing if a link cannot be changed.
    ShareLinks(Mutation, Vec<ShareLinkRowChange>),
    /// Changes a webhook with what belongs to it.
    Webhook(Box<WebhookChange>),
    /// Revokes a key that is not revoked.
    RevokeKey { params: ScopeParams, id: String, at: i64 },
    /// Changes no row: the transaction writes an idempotency record alone.
    None,
}

/// The parts of a commit that depend on the caller's organization.
pub(crate) struct CallerRows {
    pub(crate) params: ScopeParams,
    pub(crate) limits: ResourceLimits,
    /// See [`belongs_to_scope`].
    pub(crate) is_own: bool,
    pub(crate) record: Option<NewIdempotencyRecord>,
    pub(crate) attempt: Option<NewLinkAttempt>,
}

/// Whether the written row and its events belong to the organization of the scope. An insert has no
/// `WHERE` that could check this.
pub(crate) fn belongs_to_scope(
    scope: &Scope,
    organization: &OrganizationId,
    events: &[Event],
) -> bool {
    let in_scope = scope.organization();
    organization == in_scope && events.iter().all(|event| event.organization == *in_scope)
}

/// A write of rows that belong to another organization.
const CROSS_ORGANIZATION_WRITE: StoreError = StoreError::Unfit { column: "organization" };

impl RowChange {
    /// Returns the amounts of resources that the inserted row uses.
    fn growth(&self) -> ResourceGrowth {
        let mut growth = ResourceGrowth::default();
        match self {
            Self::InsertSession(row) => {
                growth.add(Resource::Sessions, 1);
                growth.add(Resource::Metadata, row.metadata_bytes());
            }
            Self::InsertKey(_) => growth.add(Resource::ApiKeys, 1),
            Self::Webhook(change) if matches!(change.kind, WebhookChangeKind::Insert(_)) => {
                growth.add(Resource::Webhooks, 1);
            }
            Self::ShareLinks(_, links) => {
                let inserts =
                    |change: &&ShareLinkRowChange| matches!(change, ShareLinkRowChange::Insert(_));
                growth.add(Resource::ShareLinks, links.iter().filter(inserts).count());
            }
            Self::Mutate(_) | Self::Webhook(_) | Self::RevokeKey { .. } | Self::None => {}
        }
        growth
    }
}

/// Writes the row; returns the number of changed rows.
macro_rules! change_row {
    ($conn:expr, $change:expr) => {
        match $change {
            RowChange::InsertSession(row) => {
                let insert = diesel::insert_into(sessions::table).values(&**row);
                insert.on_conflict_do_nothing().execute($conn).await?
            }
            RowChange::Mutate(mutation) => write_mutation!($conn, mutation),
            RowChange::InsertKey(row) => {
                let insert = diesel::insert_into(api_keys::table).values(&**row);
                insert.on_conflict_do_nothing().execute($conn).await?
            }
            RowChange::RevokeKey { params, id, at } => {
                let revoke = diesel::update(scope::live_key(params, id));
                revoke.set(api_keys::revoked_at.eq(*at)).execute($conn).await?
            }
            RowChange::ShareLinks(mutation, links) => {
                let changed = write_mutation!($conn, mutation);
                if changed > 0 && write_share_links!($conn, links) < links.len() {
                    return Err(StoreError::LostRace);
                }
                changed
            }
            RowChange::Webhook(change) => write_webhook!($conn, change),
            RowChange::None => 1,
        }
    };
}

/// Returns the number of bytes by which an update increases metadata that has a limit.
macro_rules! metadata_growth {
    ($conn:expr, $change:expr, $caller:expr) => {
        match ($change, $caller) {
            (RowChange::Mutate(Mutation::Update(scoped_id, expected, state, _)), Some(caller))
                if caller.limits.metadata.is_some() && state.metadata_bytes() > 0 =>
            {
                let before: Option<i32> = scope::session_at(scoped_id, *expected)
                    .select(octet_length(sessions::metadata))
                    .get_result($conn)
                    .await
                    .optional()?;
                let before = before.and_then(|bytes| usize::try_from(bytes - 2).ok());
                state.metadata_bytes().saturating_sub(before.unwrap_or_default())
            }
            _ => 0,
        }
    };
}

impl Database {
    /// Runs the transaction of a caller: writes everything or nothing. The transaction ends even if
    /// the caller is dropped.
    pub(crate) async fn run_transaction(
        &self,
        transaction: Transaction,
    ) -> PortResult<CommitOutcome> {
        let permit = match &transaction.caller {
            Some(caller) => self.transaction_permit(&caller.params.organization).await?,
            None => None,
        };
        let work = |database: Self| async move {
            let written = database.transact(transaction).await;
            drop(permit);
            rejection_as_outcome(written)
        };
        match self.kind() {
            DatabaseKind::Postgres => self.run(work).await,
            // The writer thread runs the transaction to its end.
            DatabaseKind::Sqlite => self.within_deadline(work(self.clone())).await,
        }
    }

    /// Runs a transaction.
    ///
    /// # Errors
    /// [`StoreError::Rejected`] for a commit of a caller.
    pub(crate) async fn transact(&self, transaction: Transaction) -> Result<Written, StoreError> {
        let Transaction { change, events, caller } = transaction;
        with_transaction!(self, |conn| {
            let mut growth = change.growth();
            growth.add(Resource::Metadata, metadata_growth!(conn, &change, &caller));
            if change_row!(conn, &change) == 0 {
                return Ok(Written::Raced);
            }
            insert_events!(conn, events);
            let Some(caller) = &caller else { return Ok(Written::Done) };
            if !caller.is_own {
                return Err(CROSS_ORGANIZATION_WRITE);
            }
            if !insert_idempotency_record!(conn, caller.record) {
                return Err(StoreError::Rejected(Rejection::Repeated));
            }
            if let Some(record) = &caller.record {
                growth.add(Resource::IdempotencyRecords, record.bytes());
            }
            admit!(conn, caller.params, caller.limits, growth);
            if let Some(attempt) = &caller.attempt {
                count_link_attempt!(conn, caller.params, attempt);
            }
            Ok(Written::Done)
        })
    }
}

/// Turns the error that rolled back a transaction on purpose into its outcome.
fn rejection_as_outcome(written: Result<Written, StoreError>) -> Result<CommitOutcome, StoreError> {
    match written {
        Ok(written) => Ok(Ok(written)),
        Err(StoreError::Rejected(rejection)) => Ok(Err(rejection)),
        Err(StoreError::LostRace) => Ok(Ok(Written::Raced)),
        Err(error) => Err(error),
    }
}

//! Inserts, updates and deletes of several sessions as one statement, for PostgreSQL.
//!
//! The text of the statement is constant; its parameters are lists as JSON. Each list entry keeps
//! organization, session, reach and expected version of one write together.
//!
//! Decision: ADR 0022.

use diesel::{
    QueryResult,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::Text,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;

use crate::{
    StoreError,
    rows::{
        cleanup::CleanupRow,
        column::to_json,
        event::EventRow,
        session::{MutableColumns, SessionRow},
        usage::ResourceNeed,
    },
    scope::{ExpectedRowVersion, ScopedSessionId},
};

/// Columns of a session that never change.
const IMMUTABLE: &str = "id, organization, created_by, created_at";

/// Columns that an update replaces.
const MUTABLE: &str = "label, auto_read, presence_typing, rate_per_min, rate_per_hour, metadata, \
    is_admin_session, gateway, desired, epoch, wanted, status, reason, identity, phone_number, pairing, \
    deadline, heard, last_connected_at, updated_at, version, sequence, due, failures, messages, \
    retention_days";

const CLEANUP: &str = "session, organization, gateway, epoch, requested_by_kind, requested_by_name, \
    requested_at, deadline, due, attempts, sequence, told, linked";

const EVENT: &str =
    "id, organization, session, stream, sequence, name, at, actor_kind, actor_name, payload";

/// Writes of sessions, at most one per session.
#[derive(Default)]
pub(crate) struct SessionWrites<'a> {
    inserts: Vec<&'a SessionRow>,
    needs: Vec<&'a ResourceNeed>,
    counts: Vec<ResourceNeed>,
    updates: Vec<GuardedRow<'a>>,
    deletions: Vec<GuardedRow<'a>>,
    cleanups: Vec<&'a CleanupRow>,
    events: Vec<&'a EventRow>,
}

/// An update or delete with the guard of its row. The names of the fields are the column names that
/// the statement reads.
#[derive(Serialize)]
struct GuardedRow<'a> {
    organization: &'a str,
    id: &'a str,
    #[serde(rename = "within")]
    in_reach: bool,
    version: i64,
    due: Option<i64>,
    metadata: Option<i32>,
    state: Option<&'a MutableColumns>,
}

impl<'a> SessionWrites<'a> {
    /// Inserts a session if its organization has room for all its new sessions in this statement.
    pub(crate) fn insert(&mut self, row: &'a SessionRow, needs: &'a [ResourceNeed]) {
        self.inserts.push(row);
        self.needs.extend(needs);
        self.counts.extend(ResourceNeed::counts(row.organization()));
    }

    /// Updates a session under the guard of
    /// [`session_at_with_metadata`](crate::scope::counts::session_at_with_metadata).
    pub(crate) fn update(
        &mut self,
        scoped_id: &'a ScopedSessionId,
        expected: ExpectedRowVersion,
        state: &'a MutableColumns,
        metadata: Option<i32>,
    ) {
        let ExpectedRowVersion { version, due } = expected;
        let state = Some(state);
        self.updates.push(GuardedRow {
            due,
            metadata,
            state,
            ..GuardedRow::new(scoped_id, version)
        });
    }

    /// Deletes the session of this version, and inserts its cleanup.
    pub(crate) fn delete(
        &mut self,
        scoped_id: &'a ScopedSessionId,
        version: i64,
        cleanup: Option<&'a CleanupRow>,
    ) {
        self.deletions.push(GuardedRow::new(scoped_id, version));
        let ScopedSessionId { organization, .. } = scoped_id;
        self.counts.extend(ResourceNeed::counts(organization));
        self.cleanups.extend(cleanup);
    }

    /// Inserts the events whose session is changed.
    pub(crate) fn add_events(&mut self, events: &'a [EventRow]) {
        self.events.extend(events);
    }

    /// Executes all writes or none; returns the ids of the changed sessions.
    pub(crate) async fn execute(
        self,
        mut conn: &AsyncPgConnection,
    ) -> Result<Vec<String>, StoreError> {
        Ok(self.statement()?.load(&mut conn).await?)
    }

    pub(crate) fn statement(&self) -> Result<SessionWritesStatement, StoreError> {
        Ok(SessionWritesStatement {
            inserts: to_json("sessions", &self.inserts)?,
            needs: to_json(
                "usage",
                &self.needs.iter().copied().chain(&self.counts).collect::<Vec<_>>(),
            )?,
            updates: to_json("sessions", &self.updates)?,
            deletions: to_json("sessions", &self.deletions)?,
            cleanups: to_json("retirements", &self.cleanups)?,
            events: to_json("events", &self.events)?,
        })
    }
}

impl<'a> GuardedRow<'a> {
    fn new(scoped_id: &'a ScopedSessionId, version: i64) -> Self {
        let ScopedSessionId { organization, id, in_reach } = scoped_id;
        Self {
            organization,
            id,
            in_reach: *in_reach,
            version,
            due: None,
            metadata: None,
            state: None,
        }
    }
}

/// The parameters: each list as JSON text.
pub(crate) struct SessionWritesStatement {
    inserts: String,
    needs: String,
    updates: String,
    deletions: String,
    cleanups: String,
    events: String,
}

impl Query for SessionWritesStatement {
    type SqlType = Text;
}

impl QueryId for SessionWritesStatement {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl QueryFragment<Pg> for SessionWritesStatement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let session = format!("{IMMUTABLE}, {MUTABLE}");
        out.push_sql(
            "WITH needed AS (SELECT organization, stock, sum(grows) AS grows, min(most) AS most \
            FROM json_to_recordset(",
        );
        out.push_bind_param::<Text, _>(&self.needs)?;
        // Locks the usage rows, so that of two statements for the last free place the second sees
        // the first. All rows are locked first and in one order, so that two statements do not
        // deadlock. An organization without a usage row gets its first session in a transaction of
        // its own.
        out.push_sql(
            "::json) AS need (organization text, stock text, grows bigint, most bigint) \
            GROUP BY organization, stock), room AS MATERIALIZED (\
            SELECT usage.organization, usage.stock, usage.used + needed.grows <= needed.most AS fits \
            FROM needed JOIN usage \
            ON usage.organization = needed.organization AND usage.stock = needed.stock \
            ORDER BY usage.organization, usage.stock FOR UPDATE OF usage)",
        );

        out.push_sql(&format!(
            ", inserted AS (INSERT INTO sessions ({session})
                SELECT {session} FROM json_populate_recordset(NULL::sessions, "
        ));
        out.push_bind_param::<Text, _>(&self.inserts)?;
        out.push_sql(
            "::json) AS new WHERE NOT EXISTS (SELECT FROM needed \
            WHERE needed.organization = new.organization AND NOT EXISTS (SELECT FROM room \
            WHERE room.organization = needed.organization AND room.stock = needed.stock \
            AND room.fits) AND needed.grows > 0) \
            RETURNING id)",
        );

        out.push_sql(&format!(
            ", updated AS (UPDATE sessions SET ({MUTABLE}) = (
                SELECT {MUTABLE} FROM json_populate_record(NULL::sessions, asked.state))"
        ));
        out.push_sql(" FROM json_to_recordset(");
        out.push_bind_param::<Text, _>(&self.updates)?;
        out.push_sql(
            "::json) AS asked (organization text, id text, within boolean, version bigint, \
            due bigint, metadata integer, state json) \
            WHERE sessions.organization = asked.organization AND sessions.id = asked.id \
            AND asked.within AND sessions.version = asked.version \
            AND sessions.due IS NOT DISTINCT FROM asked.due \
            AND (asked.metadata IS NULL OR octet_length(sessions.metadata) >= asked.metadata) \
            RETURNING sessions.id)",
        );

        out.push_sql(", deleted AS (DELETE FROM sessions USING json_to_recordset(");
        out.push_bind_param::<Text, _>(&self.deletions)?;
        out.push_sql(
            "::json) AS asked (organization text, id text, within boolean, version bigint) \
            WHERE sessions.organization = asked.organization AND sessions.id = asked.id \
            AND asked.within AND sessions.version = asked.version \
            AND (SELECT count(*) FROM room) >= 0 RETURNING sessions.id)",
        );

        out.push_sql(
            ", changed AS (SELECT id FROM inserted UNION ALL SELECT id FROM updated \
            UNION ALL SELECT id FROM deleted)",
        );
        // The database assigns positions to events in the order of the rows.
        for (name, table, columns, order, rows) in [
            ("rest", "retirements", CLEANUP, "session", &self.cleanups),
            ("told", "events", EVENT, "session, sequence", &self.events),
        ] {
            out.push_sql(&format!(
                ", {name} AS (INSERT INTO {table} ({columns})
                    SELECT {columns} FROM json_populate_recordset(NULL::{table}, "
            ));
            out.push_bind_param::<Text, _>(rows)?;
            out.push_sql(&format!(
                "::json) WHERE session IN (SELECT id FROM changed) ORDER BY {order})"
            ));
        }
        out.push_sql(" SELECT id FROM changed");
        Ok(())
    }
}

#[cfg(test)]
mod tests;

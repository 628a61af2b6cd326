//! Takes due rows in rounds from each organization, so that an organization with much work does not
//! delay others.
//!
//! Each statement compares the organization as an expression, `organization || ''`, the first
//! column of the indexes of migration 0010. So no other index serves these statements, and these
//! indexes serve no lookup of a caller. The step from one organization to the next is one index
//! step, however many rows an organization has.
//!
//! Decision: ADR 0030.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Nullable, Text},
};

/// Maximum number of organizations that one claim considers; the next claim continues after them.
pub(crate) const MAX_ORGANIZATIONS: i64 = 1_000;

/// A kind of rows that wait for the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DueQueue {
    /// Due sessions.
    Sessions,
    /// Due cleanups.
    Cleanups,
    /// Sessions that wait for a node with free capacity.
    Unplaced,
    /// Due outboxes of sessions.
    Outboxes,
}

impl DueQueue {
    const fn table(self) -> &'static str {
        match self {
            Self::Sessions | Self::Unplaced => "sessions",
            Self::Cleanups => "retirements",
            Self::Outboxes => "session_messaging",
        }
    }

    const fn id(self) -> &'static str {
        match self {
            Self::Sessions | Self::Unplaced => "id",
            Self::Cleanups | Self::Outboxes => "session",
        }
    }

    /// The condition of the queue's index.
    const fn rows(self) -> &'static str {
        match self {
            Self::Sessions | Self::Cleanups => "due IS NOT NULL",
            Self::Unplaced => "gateway IS NULL AND desired = 'running'",
            Self::Outboxes => "outbox_due IS NOT NULL AND queued >= 0",
        }
    }

    /// The order within an organization.
    const fn order(self) -> &'static str {
        match self {
            Self::Sessions | Self::Cleanups => "due",
            Self::Unplaced => "updated_at",
            Self::Outboxes => "outbox_due",
        }
    }

    /// The condition for rows that are due at `$2`. An unplaced session has no due time, or its
    /// deadline as due time; a session that was just claimed has another one.
    const fn due_condition(self) -> &'static str {
        match self {
            Self::Sessions | Self::Cleanups => "due <= $2",
            Self::Outboxes => "outbox_due <= $2",
            Self::Unplaced => "(due IS NULL OR due = deadline) AND updated_at <= $2",
        }
    }
}

/// An organization with rows in a queue, and the time of its first due row; `None` when no row is
/// due.
#[derive(QueryableByName)]
pub(crate) struct QueuedOrganization {
    #[diesel(sql_type = Text)]
    pub(crate) organization: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) first: Option<i64>,
}

/// The id of a row.
#[derive(QueryableByName)]
pub(crate) struct RowId {
    #[diesel(sql_type = Text)]
    pub(crate) id: String,
}

/// Returns the statement for the organizations in a queue after a given one, in the order of their
/// ids. Parameters: the organization, the time, the number of organizations.
pub(crate) fn organizations_statement(queue: DueQueue) -> String {
    let (table, rows, order, is_due) =
        (queue.table(), queue.rows(), queue.order(), queue.due_condition());
    let next = |after: &str| {
        format!(
            "(SELECT organization || '' FROM {table} WHERE {rows} AND organization || '' > {after}
                ORDER BY organization || '' LIMIT 1)"
        )
    };
    let (first, next) = (next("$1"), next("turn.organization"));
    format!(
        "WITH RECURSIVE turn(organization, number) AS (
            SELECT {first}, 1
            UNION ALL
            SELECT {next}, number + 1 FROM turn
                WHERE turn.organization IS NOT NULL AND number < {MAX_ORGANIZATIONS}
        )
        SELECT turn.organization AS organization,
            (SELECT {order} FROM {table} WHERE {rows} AND organization || '' = turn.organization
                AND {is_due} ORDER BY {order}, {id} LIMIT 1) AS first
        FROM turn WHERE turn.organization IS NOT NULL",
        id = queue.id(),
    )
}

/// Returns the statement for the first rows of an organization in a queue. Parameters: the
/// organization, the time, the number of rows.
pub(crate) fn rows_statement(queue: DueQueue) -> String {
    let (table, id, order) = (queue.table(), queue.id(), queue.order());
    let (rows, is_due) = (queue.rows(), queue.due_condition());
    format!(
        "SELECT {id} AS id FROM {table} WHERE {rows} AND organization || '' = $1 AND {is_due}
            ORDER BY {order}, {id} LIMIT $3"
    )
}

/// Takes one id of each organization, then a second of each, and so on, up to `limit` ids.
pub(crate) fn interleave(mut queues: Vec<std::vec::IntoIter<String>>, limit: usize) -> Vec<String> {
    let mut taken = Vec::new();
    while !queues.is_empty() && taken.len() < limit {
        queues.retain_mut(|queue| match queue.next() {
            Some(id) => {
                taken.push(id);
                true
            }
            None => false,
        });
    }
    taken.truncate(limit);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_interleaved() {
        let queue =
            |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().into_iter();
        let queues = || vec![queue(&["a1", "a2", "a3"]), queue(&["b1"]), queue(&["c1", "c2"])];
        assert_eq!(interleave(queues(), 5), ["a1", "b1", "c1", "a2", "c2"]);
        assert_eq!(interleave(queues(), 2), ["a1", "b1"]);
        assert_eq!(interleave(queues(), 9).len(), 6);
    }
}

//! What is taken by turns from each organization, so that one with much to do keeps no other waiting
//! ([ADR 0030](../../../docs/adr/0030-claim-due-work-round-robin.md)).
//!
//! Each statement names the organization as an expression, by which the indexes of migration 0010 are
//! ordered: no other index can be taken for these, and these for no look-up of a caller. From one
//! organization to the next is one step in such an index, however many rows an organization has.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Nullable, Text},
};

/// How many organizations are looked at for one claim; those behind them are looked at next time.
pub(crate) const MAX_ORGANIZATIONS: i64 = 1_000;

/// Rows that wait for their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DueQueue {
    /// Sessions whose time has come.
    Sessions,
    /// Retirements whose time has come.
    Retirements,
    /// Sessions that rest until there is a node with room.
    Unplaced,
}

impl DueQueue {
    const fn table(self) -> &'static str {
        match self {
            Self::Sessions | Self::Unplaced => "sessions",
            Self::Retirements => "retirements",
        }
    }

    const fn id(self) -> &'static str {
        match self {
            Self::Sessions | Self::Unplaced => "id",
            Self::Retirements => "session",
        }
    }

    /// What its index holds.
    const fn rows(self) -> &'static str {
        match self {
            Self::Sessions | Self::Retirements => "due IS NOT NULL",
            Self::Unplaced => "gateway IS NULL AND desired = 'running'",
        }
    }

    /// The order within an organization.
    const fn order(self) -> &'static str {
        match self {
            Self::Sessions | Self::Retirements => "due",
            Self::Unplaced => "updated_at",
        }
    }

    /// Which of its rows are taken at `$2`. A session that waits has no time, or its deadline; one that was
    /// claimed a moment ago has another.
    const fn due_condition(self) -> &'static str {
        match self {
            Self::Sessions | Self::Retirements => "due <= $2",
            Self::Unplaced => "(due IS NULL OR due = deadline) AND updated_at <= $2",
        }
    }
}

/// An organization that has rows in a queue, and when the first of them is due or has been waiting since.
#[derive(QueryableByName)]
pub(crate) struct QueuedOrganization {
    #[diesel(sql_type = Text)]
    pub(crate) organization: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) first: Option<i64>,
}

/// A row's name.
#[derive(QueryableByName)]
pub(crate) struct RowId {
    #[diesel(sql_type = Text)]
    pub(crate) id: String,
}

/// The organizations after one that have rows in a queue, in the order of their names. Parameters: after
/// which, the time, how many.
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

/// The first rows of an organization in a queue. Parameters: the organization, the time, how many.
pub(crate) fn rows_statement(queue: DueQueue) -> String {
    let (table, id, order) = (queue.table(), queue.id(), queue.order());
    let (rows, is_due) = (queue.rows(), queue.due_condition());
    format!(
        "SELECT {id} AS id FROM {table} WHERE {rows} AND organization || '' = $1 AND {is_due}
            ORDER BY {order}, {id} LIMIT $3"
    )
}

/// A statement with these parameters.
macro_rules! bound_query {
    ($statement:expr, $($kind:ty: $value:expr),+) => {
        diesel::sql_query($statement)$(.bind::<$kind, _>($value))+
    };
}

/// One of each organization, then a second of each, and so on: up to `limit` in all.
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

pub(crate) use bound_query;

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

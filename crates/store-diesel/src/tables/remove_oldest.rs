//! [`remove_oldest`]: the removal of the rows of a table that are older than a time.

/// Removes the rows that a filter selects up to a time, oldest first, at most `limit` and those of the
/// last row's time. Evaluates to the number of removed rows.
///
/// Neither engine limits a `DELETE`, so the time of the last row to delete is read first. `$selected`
/// takes a time in milliseconds and returns the rows whose `$column` is at most this time.
macro_rules! remove_oldest {
    ($database:expr, $limit:expr, $last_moment:expr, $column:expr, $selected:expr) => {{
        let (selected, last_moment) = ($selected, $last_moment);
        let last = i64::from($limit.max(1)) - 1;
        let until: Option<i64> = with_conn!($database, read, |conn| {
            selected(last_moment)
                .select($column)
                .order($column.asc())
                .offset(last)
                .limit(1)
                .get_result(conn)
                .await
                .optional()
        })?;
        let until = until.unwrap_or(last_moment);
        let removed = with_conn!($database, write, |conn| {
            diesel::delete(selected(until)).execute(conn).await
        })?;
        u32::try_from(removed).unwrap_or(u32::MAX)
    }};
}

pub(crate) use remove_oldest;

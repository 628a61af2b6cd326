//! Skips unreadable rows of a list: such a row is counted and logged, and does not affect other
//! rows.
//!
//! Decision: ADR 0029.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::StoreError;

/// Minimum time between two log lines about one row.
const LOG_INTERVAL: Duration = Duration::from_secs(600);

/// Maximum number of remembered log lines. A further entry clears the map.
const MAX_LOGGED: usize = 1_000;

/// Logged rows by column and id, with the time of the log line.
static LOGGED: Mutex<Option<HashMap<(&'static str, String), Instant>>> = Mutex::new(None);

/// Returns the values of the readable rows, in their order.
pub(crate) fn readable<R, T: TryFrom<R, Error = StoreError>>(
    rows: impl IntoIterator<Item = R>,
) -> Vec<T> {
    rows.into_iter().filter_map(|row| skip_unreadable(T::try_from(row))).collect()
}

/// Returns the value of a row; counts and logs an unreadable row and returns `None`.
pub(crate) fn skip_unreadable<T>(row: Result<T, StoreError>) -> Option<T> {
    row.inspect_err(log_skipped).ok()
}

/// Rows per statement after a statement that returned unreadable rows.
pub(crate) const FURTHER_ROWS: u32 = 1_000;

/// Returns a page of readable rows. Further rows replace skipped ones, so that a short page is
/// always the last one. `$load` reads up to `$row_limit` rows after `$after`.
macro_rules! fill_page {
    ($limit:expr, $first:expr, |$after:ident, $row_limit:ident| $load:expr, $position:expr) => {{
        let limit = usize::try_from($limit).unwrap_or(usize::MAX);
        let (mut $after, mut $row_limit) = ($first, i64::from($limit));
        let mut page = Vec::new();
        loop {
            let rows = $load;
            let full = i64::try_from(rows.len()).is_ok_and(|count| count >= $row_limit);
            let last = rows.last().map($position);
            page.extend($crate::rows::readable::readable(rows));
            match last {
                Some(position) if full && page.len() < limit => $after = position,
                _ => break,
            }
            $row_limit = i64::from($crate::rows::readable::FURTHER_ROWS);
        }
        page.truncate(limit);
        page
    }};
}

fn log_skipped(error: &StoreError) {
    let StoreError::Corrupt { column, row } = error else {
        tracing::error!(%error, "row skipped");
        return;
    };
    let table = column.split('.').next().unwrap_or(column);
    metrics::counter!("berth_store_rows_skipped_total", "table" => table).increment(1);
    if is_first_in_interval(column, row, Instant::now()) {
        tracing::error!(%error, "row skipped; sessions and keys in other rows are not affected");
    }
}

/// Whether the row was not logged within [`LOG_INTERVAL`].
fn is_first_in_interval(column: &'static str, row: &str, now: Instant) -> bool {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let logged = logged.get_or_insert_default();
    let key = (column, row.to_owned());
    if logged.get(&key).is_some_and(|at| now.saturating_duration_since(*at) < LOG_INTERVAL) {
        return false;
    }
    if logged.len() >= MAX_LOGGED {
        logged.clear();
    }
    logged.insert(key, now);
    true
}

pub(crate) use fill_page;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_row_is_logged_once_per_interval() {
        let now = Instant::now();
        assert!(is_first_in_interval("t.c", "row", now));
        assert!(!is_first_in_interval("t.c", "row", now + LOG_INTERVAL / 2));
        assert!(is_first_in_interval("t.d", "row", now));
        assert!(is_first_in_interval("t.c", "row", now + LOG_INTERVAL));
    }
}

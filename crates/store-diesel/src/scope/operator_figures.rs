//! Statements over all organizations whose results are metrics of the operator: counts and ages, and no
//! row of an organization.

/// Counts the sessions by status. An index holds the statuses.
pub(crate) const SESSIONS_BY_STATUS: &str =
    "SELECT status AS name, count(*) AS count FROM sessions GROUP BY status";

/// Counts the sessions by the connection state that their owners ask for. No index holds that state.
pub(crate) const SESSIONS_BY_DESIRED: &str =
    "SELECT desired AS name, count(*) AS count FROM sessions GROUP BY desired";

/// Counts the deleted sessions that are not cleaned up, and selects the time of the oldest deletion.
pub(crate) const CLEANUPS: &str =
    "SELECT count(*) AS count, min(requested_at) AS at FROM retirements";

/// Selects the earliest due time of a session.
pub(crate) const EARLIEST_DUE: &str = "SELECT min(due) AS at FROM sessions WHERE due IS NOT NULL";

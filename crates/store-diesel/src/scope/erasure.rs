//! Statements that erase the rows of an organization in bounded steps, for the operator's command
//! alone. Parameters of the erasing statements: the organization, and the maximum number of rows.

use domain::ports::ErasedRows;

/// Counts the unfinished deletions of an organization: cleanups, and sessions whose messages are not
/// removed. Parameter: the organization.
pub(crate) const UNFINISHED: &str = "SELECT
    (SELECT count(*) FROM retirements WHERE organization = $1)
    + (SELECT count(*) FROM session_messaging WHERE organization = $1) AS count";

/// Returns the statement that erases rows of a kind.
pub(crate) const fn erase_statement(rows: ErasedRows) -> &'static str {
    match rows {
        ErasedRows::BrowserSessions => {
            "DELETE FROM browser_sessions WHERE organization = $1
                AND digest IN (SELECT digest FROM browser_sessions WHERE organization = $1 LIMIT $2)"
        }
        ErasedRows::ApiKeys => {
            "DELETE FROM api_keys WHERE organization = $1
                AND id IN (SELECT id FROM api_keys WHERE organization = $1 LIMIT $2)"
        }
        ErasedRows::IdempotencyRecords => {
            "DELETE FROM receipts WHERE organization = $1
                AND slot IN (SELECT slot FROM receipts WHERE organization = $1 LIMIT $2)"
        }
        ErasedRows::LinkAttempts => {
            "DELETE FROM link_attempts WHERE organization = $1
                AND session IN (SELECT session FROM link_attempts WHERE organization = $1 LIMIT $2)"
        }
        ErasedRows::Events => {
            "DELETE FROM events WHERE organization = $1
                AND id IN (SELECT id FROM events WHERE organization = $1 LIMIT $2)"
        }
    }
}

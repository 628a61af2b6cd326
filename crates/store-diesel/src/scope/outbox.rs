//! Statements about messages in the outbox: those of one session, of which every statement names the
//! organization, and those over all sessions for the sender of messages.
//!
//! Decision: ADR 0030, ADR 0037.

use crate::{
    DatabaseKind,
    scope::messaging::{counters_columns, entry_columns, message_columns},
};

/// Number of the newest messages of a session among which unread ones are found.
const UNREAD_WINDOW: u32 = 2_000;

/// Claims listed sessions whose outbox is due. Parameters: the ids as a JSON list, the time, the new
/// due time.
pub(crate) fn claim_statement(kind: DatabaseKind) -> String {
    let ids = match kind {
        DatabaseKind::Postgres => "SELECT jsonb_array_elements_text($1::jsonb)",
        DatabaseKind::Sqlite => "SELECT value FROM json_each($1)",
    };
    format!(
        "UPDATE session_messaging SET outbox_due = $3
            WHERE session IN ({ids}) AND outbox_due IS NOT NULL AND outbox_due <= $2
            RETURNING organization, session"
    )
}

/// Makes the outbox of a session due, if something waits in it. Without a condition on the due time, for
/// which PostgreSQL may search what is due. Parameters: organization, session, the due time.
pub(crate) const RELEASE: &str = "UPDATE session_messaging
    SET outbox_due = CASE WHEN outbox_due > $3 THEN $3 ELSE outbox_due END
    WHERE organization = $1 AND session = $2";

/// Selects the earliest due outboxes. Parameters: the time, the number of rows.
pub(crate) const EARLIEST: &str = "SELECT organization, session FROM session_messaging
    WHERE outbox_due IS NOT NULL AND outbox_due <= $1 ORDER BY outbox_due, session LIMIT $2";

/// Selects the earliest due time of an outbox.
pub(crate) const NEXT_DUE: &str =
    "SELECT min(outbox_due) AS at FROM session_messaging WHERE outbox_due IS NOT NULL";

/// Selects the time of acceptance of the oldest entry that is not done.
pub(crate) const OLDEST_WAITING: &str =
    "SELECT min(accepted_at) AS at FROM outbox WHERE finished_at IS NULL AND attempts >= 0";

/// Selects the counters of a session with the account, the node and a setting of the session.
/// Parameter: the session.
pub(crate) fn session_statement() -> String {
    format!(
        "SELECT {columns}, session_messaging.removal_due, sessions.phone_number AS phone, sessions.gateway AS gateway,
            sessions.auto_read AS auto_read
        FROM sessions JOIN session_messaging
            ON session_messaging.organization = sessions.organization
            AND session_messaging.session = sessions.id
        WHERE sessions.id = $1",
        columns = counters_columns(),
    )
}

/// Selects the entries that were handed over, and of each chat the first entry that is not done,
/// oldest first. Parameters: organization, session, whether first contacts are selected, number of
/// rows.
pub(crate) fn waiting_statement() -> String {
    format!(
        "SELECT {columns} FROM outbox
        WHERE outbox.organization = $1 AND outbox.session = $2 AND outbox.finished_at IS NULL
            AND (outbox.state = 'handed' OR outbox.message = (
                SELECT min(first.message) FROM outbox AS first
                WHERE first.organization = outbox.organization AND first.session = outbox.session
                    AND first.chat = outbox.chat AND first.finished_at IS NULL
            ))
            AND (outbox.state = 'handed' OR $3 OR EXISTS (
                SELECT 1 FROM chats WHERE chats.organization = outbox.organization
                    AND chats.session = outbox.session AND chats.id = outbox.chat
                    AND chats.has_inbound
            ))
        ORDER BY outbox.message LIMIT $4",
        columns = entry_columns(),
    )
}

/// Selects the earliest expiry of the entries of a session that are queued. Parameters: organization,
/// session.
pub(crate) const NEXT_EXPIRY: &str = "SELECT min(expires_at) AS at FROM outbox
    WHERE organization = $1 AND session = $2 AND finished_at IS NULL AND state = 'queued'";

/// Selects queued entries that have expired or were accepted for another account. Parameters:
/// organization, session, time, account, number of rows.
pub(crate) fn ended_statement() -> String {
    format!(
        "SELECT {columns} FROM outbox
        WHERE outbox.organization = $1 AND outbox.session = $2 AND outbox.finished_at IS NULL
            AND outbox.state = 'queued' AND (outbox.expires_at <= $3 OR outbox.account <> $4)
        ORDER BY outbox.message LIMIT $5",
        columns = entry_columns(),
    )
}

/// Counts the hand-overs of a session after a time, and selects the time of the newest one that is a
/// number of hand-overs back. Parameters: organization, session, time, offset from 0.
pub(crate) const HAND_OVERS: &str = "SELECT count(*) AS count, (
        SELECT handed_at FROM outbox
        WHERE organization = $1 AND session = $2 AND handed_at IS NOT NULL AND handed_at > $3
        ORDER BY handed_at DESC LIMIT 1 OFFSET $4
    ) AS nth_newest FROM outbox
    WHERE organization = $1 AND session = $2 AND handed_at IS NOT NULL AND handed_at > $3";

/// Selects unread messages of partners and members among the newest ones of a session, oldest first.
/// Parameters: organization, session, the flag of undecryptable messages, number of rows.
pub(crate) fn unread_statement() -> String {
    format!(
        "SELECT {columns} FROM (
            SELECT * FROM messages WHERE organization = $1 AND session = $2 AND NOT hidden
                AND ephemeral_seconds >= 0
            ORDER BY at DESC, id DESC LIMIT {UNREAD_WINDOW}
        ) AS page
        WHERE page.level = 2 AND page.source = 'contact' AND page.flags & $3 = 0
        ORDER BY page.id LIMIT $4",
        columns = message_columns("page"),
    )
}

/// Selects the entry of a request with an idempotency key. Parameters: organization, hash.
pub(crate) const BY_KEY: &str =
    "SELECT session, message, request FROM outbox WHERE organization = $1 AND key_hash = $2";

/// Counts the entries of a session before a message that are not done. Parameters: organization,
/// session, message.
pub(crate) const WAITING_BEFORE: &str = "SELECT count(*) AS count FROM outbox
    WHERE organization = $1 AND session = $2 AND finished_at IS NULL AND message < $3";

//! Statements that remove messages: those of deleted sessions, those that are too old, and finished
//! entries of the outbox. For the worker, over all organizations; each removal names the session.
//!
//! Decision: ADR 0037, ADR 0041.

use crate::scope::messaging::counters_columns;

/// Selects the first deleted session whose messages remain. Parameter: the time.
pub(crate) const NEXT_REMOVAL: &str = "SELECT organization, session FROM session_messaging
    WHERE removal_due IS NOT NULL AND removed >= 0 AND removal_due <= $1 ORDER BY removal_due, session LIMIT 1";

/// Claims the messages of a deleted session. Parameters: organization, session, time, end of the
/// claim.
pub(crate) fn claim_statement() -> String {
    format!(
        "UPDATE session_messaging SET removal_due = $4
        WHERE organization = $1 AND session = $2 AND removal_due IS NOT NULL AND removal_due <= $3
        RETURNING {columns}, removed",
        columns = counters_columns(),
    )
}

/// Ends a claim. Parameters: organization, session, time.
pub(crate) const RELEASE: &str = "UPDATE session_messaging SET removal_due = $3
    WHERE organization = $1 AND session = $2 AND removal_due IS NOT NULL";

/// Removes the first messages of a session. Parameters: organization, session, number of rows.
pub(crate) const REMOVE_MESSAGES: &str = "DELETE FROM messages
    WHERE organization = $1 AND session = $2 AND id < coalesce((
        SELECT id FROM messages WHERE organization = $1 AND session = $2
            ORDER BY id LIMIT 1 OFFSET $3
    ), 9223372036854775807)";

/// Counts removed messages of a deleted session. Parameters: organization, session, number.
pub(crate) const COUNT_REMOVED: &str = "UPDATE session_messaging SET removed = removed + $3
    WHERE organization = $1 AND session = $2 AND removal_due IS NOT NULL";

/// The statements that remove the other rows of a deleted session, one after the other. Parameters as
/// of [`REMOVE_MESSAGES`].
pub(crate) const REMOVE_OTHERS: [&str; 4] = [
    "DELETE FROM events
        WHERE organization = $1 AND session = $2 AND stream = 'messages' AND sequence < coalesce((
            SELECT sequence FROM events WHERE session = $2 AND stream = 'messages'
                ORDER BY sequence LIMIT 1 OFFSET $3
        ), 9223372036854775807)",
    "DELETE FROM outbox
        WHERE organization = $1 AND session = $2 AND message < coalesce((
            SELECT message FROM outbox WHERE organization = $1 AND session = $2
                ORDER BY message LIMIT 1 OFFSET $3
        ), 9223372036854775807)",
    "DELETE FROM chat_names
        WHERE organization = $1 AND session = $2 AND name IN (
            SELECT name FROM chat_names WHERE organization = $1 AND session = $2
                ORDER BY name LIMIT $3
        )",
    "DELETE FROM chats
        WHERE organization = $1 AND session = $2 AND id < coalesce((
            SELECT id FROM chats WHERE organization = $1 AND session = $2
                ORDER BY id LIMIT 1 OFFSET $3
        ), 9223372036854775807)",
];

/// Removes the counters of a deleted session. Parameters: organization, session.
pub(crate) const REMOVE_COUNTERS: &str = "DELETE FROM session_messaging
    WHERE organization = $1 AND session = $2 AND removal_due IS NOT NULL";

/// Inserts new counters if a session with the id exists again. Parameters: organization, session, the
/// last sequence number.
pub(crate) const RENEW_COUNTERS: &str = "INSERT INTO session_messaging
        (organization, session, version, sequence, last_chat, last_message, journal_sequence, queued,
        removed, body_mark, content_mark)
    SELECT organization, id, 0, $3, 0, 0, 0, 0, 0, 0, 0 FROM sessions
        WHERE organization = $1 AND id = $2";

/// Selects the settings of the next sessions after a session, in the order of their ids, with the times
/// of the oldest message, of the oldest one whose body can be stored, and of the oldest one whose
/// encoded content can be. Parameters: the session, the number of rows.
pub(crate) const NEXT_SESSIONS: &str = "WITH page AS MATERIALIZED (
        SELECT id, organization, messages, retention_days FROM sessions
            WHERE id > $1 ORDER BY id LIMIT $2
    )
    SELECT page.organization AS organization, page.id AS session, page.messages AS storage,
        page.retention_days AS retention_days,
        (SELECT created_at FROM messages WHERE messages.organization = page.organization
            AND messages.session = page.id
            ORDER BY messages.id LIMIT 1) AS oldest,
        (SELECT created_at FROM messages WHERE messages.organization = page.organization
            AND messages.session = page.id AND messages.id > session_messaging.body_mark
            ORDER BY messages.id LIMIT 1) AS oldest_body,
        (SELECT created_at FROM messages WHERE messages.organization = page.organization
            AND messages.session = page.id AND messages.id > session_messaging.content_mark
            ORDER BY messages.id LIMIT 1) AS oldest_content
    FROM page LEFT JOIN session_messaging ON session_messaging.organization = page.organization
        AND session_messaging.session = page.id";

/// Part of a statement: the first message of a session that waits to be sent.
const FIRST_WAITING: &str = "coalesce((SELECT min(outbox.message) FROM outbox
    WHERE outbox.organization = $1 AND outbox.session = $2 AND outbox.finished_at IS NULL
    ), 9223372036854775807)";

/// Returns the statement that removes old messages of a session, oldest first. Parameters:
/// organization, session, number of rows, time.
pub(crate) fn remove_old_statement() -> String {
    format!("{REMOVE_MESSAGES} AND id < {FIRST_WAITING} AND created_at < $4")
}

/// A part of messages that is removed before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AgedPart {
    /// Body and encoded content.
    Body,
    /// Encoded content.
    Encoded,
}

impl AgedPart {
    const fn mark(self) -> &'static str {
        match self {
            Self::Body => "body_mark",
            Self::Encoded => "content_mark",
        }
    }
}

/// Returns the statement that selects the messages of a session whose part may be stored, oldest
/// first. Parameters: organization, session, number of rows.
pub(crate) fn aged_statement(part: AgedPart) -> String {
    format!(
        "SELECT id, created_at FROM messages WHERE organization = $1 AND session = $2
            AND id > (SELECT {mark} FROM session_messaging
                WHERE session_messaging.organization = $1 AND session_messaging.session = $2)
            AND id < {FIRST_WAITING}
        ORDER BY id LIMIT $3",
        mark = part.mark(),
    )
}

/// Returns the statement that removes a part of messages of a session through an id. Parameters:
/// organization, session, id.
pub(crate) fn blank_statement(part: AgedPart) -> String {
    let removed = match part {
        AgedPart::Body => "body = NULL, content = NULL",
        AgedPart::Encoded => "content = NULL",
    };
    format!(
        "UPDATE messages SET {removed} WHERE organization = $1 AND session = $2
            AND id > (SELECT {mark} FROM session_messaging
                WHERE session_messaging.organization = $1 AND session_messaging.session = $2)
            AND id <= $3",
        mark = part.mark(),
    )
}

/// Returns the statement that remembers through which message a part is removed. Parameters:
/// organization, session, id.
pub(crate) fn mark_statement(part: AgedPart) -> String {
    format!(
        "UPDATE session_messaging SET {mark} = $3
        WHERE organization = $1 AND session = $2 AND {mark} < $3",
        mark = part.mark(),
    )
}

/// Selects the time of the nth oldest end of entries in the outbox. Parameters: time, offset from 0.
pub(crate) const NTH_FINISHED: &str = "SELECT finished_at AS at FROM outbox
    WHERE finished_at IS NOT NULL AND attempts >= 0 AND finished_at < $1
    ORDER BY finished_at LIMIT 1 OFFSET $2";

/// Removes entries of the outbox that finished through a time. Parameter: the time.
pub(crate) const REMOVE_ENTRIES: &str = "DELETE FROM outbox
    WHERE finished_at IS NOT NULL AND attempts >= 0 AND finished_at <= $1";

//! Statements that remove messages, for the worker alone.

/// Claims due removals. Parameters: the new due time, the time, the number of removals.
pub(crate) const CLAIM_REMOVALS: &str = "UPDATE session_messaging SET removal_due = $1
    WHERE (organization, session) IN (SELECT organization, session FROM session_messaging
        WHERE removal_due IS NOT NULL AND removal_due <= $2
        ORDER BY removal_due, session LIMIT $3)
    AND removal_due <= $2
    RETURNING organization, session";

/// Remove rows of a session. Parameters: the organization, the session, the number of rows.
pub(crate) const REMOVE_EVENTS: &str = "DELETE FROM events
    WHERE organization = $1 AND session = $2 AND stream = 'messages' AND sequence IN (
        SELECT sequence FROM events WHERE organization = $1 AND session = $2
            AND stream = 'messages' ORDER BY sequence LIMIT $3)";
pub(crate) const REMOVE_ENTRIES: &str = "DELETE FROM outbox
    WHERE organization = $1 AND session = $2 AND message IN (
        SELECT message FROM outbox WHERE organization = $1 AND session = $2
            ORDER BY message LIMIT $3)";
pub(crate) const REMOVE_MESSAGES: &str = "DELETE FROM messages
    WHERE organization = $1 AND session = $2 AND id IN (
        SELECT id FROM messages WHERE organization = $1 AND session = $2 ORDER BY id LIMIT $3)";
pub(crate) const REMOVE_NAMES: &str = "DELETE FROM chat_names
    WHERE organization = $1 AND session = $2 AND (name, account) IN (
        SELECT name, account FROM chat_names WHERE organization = $1 AND session = $2
            ORDER BY name, account LIMIT $3)";
pub(crate) const REMOVE_CHATS: &str = "DELETE FROM chats
    WHERE organization = $1 AND session = $2 AND id IN (
        SELECT id FROM chats WHERE organization = $1 AND session = $2 ORDER BY id LIMIT $3)";

/// Records the progress of a removal. Parameters: the number of messages, the new due time, the
/// organization, the session.
pub(crate) const CONTINUE_REMOVAL: &str = "UPDATE session_messaging
    SET removed = removed + $1, removal_due = $2
    WHERE organization = $3 AND session = $4 AND removal_due IS NOT NULL";

/// Ends a removal. Parameters: the organization, the session.
pub(crate) const END_REMOVAL: &str = "DELETE FROM session_messaging
    WHERE organization = $1 AND session = $2 AND removal_due IS NOT NULL
    RETURNING sequence, removed";

/// Selects the ages of the messages of sessions. Parameters: the organization and the session after
/// which the page begins, the number of sessions.
pub(crate) const MESSAGE_AGES: &str = "SELECT owner.organization AS organization,
        owner.session AS session, sessions.messages AS storage,
        sessions.retention_days AS retention_days,
        (SELECT created_at FROM messages WHERE messages.organization = owner.organization
            AND messages.session = owner.session ORDER BY id LIMIT 1) AS oldest,
        (SELECT created_at FROM messages WHERE messages.organization = owner.organization
            AND messages.session = owner.session AND id > owner.body_mark
            ORDER BY id LIMIT 1) AS oldest_body,
        (SELECT created_at FROM messages WHERE messages.organization = owner.organization
            AND messages.session = owner.session AND id > owner.content_mark
            ORDER BY id LIMIT 1) AS oldest_content
    FROM session_messaging AS owner JOIN sessions
        ON sessions.organization = owner.organization AND sessions.id = owner.session
    WHERE (owner.organization, owner.session) > ($1, $2)
        AND owner.last_message > 0 AND owner.removal_due IS NULL
    ORDER BY owner.organization, owner.session LIMIT $3";

/// The marks up to which bodies and contents have expired. Parameters: the organization, the session.
pub(crate) const EXPIRY_MARKS: &str = "SELECT body_mark, content_mark FROM session_messaging
    WHERE organization = $1 AND session = $2 AND removal_due IS NULL";

/// Selects the oldest messages after a mark, and whether each waits in the outbox. Parameters: the
/// organization, the session, the mark, the number of messages.
pub(crate) const OLDEST_MESSAGES: &str = "SELECT id, created_at,
        EXISTS (SELECT 1 FROM outbox WHERE outbox.organization = messages.organization
            AND outbox.session = messages.session AND outbox.message = messages.id
            AND finished_at IS NULL) AS waits
    FROM messages WHERE organization = $1 AND session = $2 AND id > $3 ORDER BY id LIMIT $4";

/// Remove what has expired of the messages in a range. Parameters: the organization, the session, the
/// mark before the first message, the last message.
pub(crate) const EXPIRE_MESSAGES: [&str; 2] = [
    "DELETE FROM messages
        WHERE organization = $1 AND session = $2 AND id > $3 AND id <= $4",
    "DELETE FROM outbox
        WHERE organization = $1 AND session = $2 AND message > $3 AND message <= $4",
];
pub(crate) const EXPIRE_BODIES: [&str; 2] = [
    "UPDATE messages SET body = NULL, content = NULL
        WHERE organization = $1 AND session = $2 AND id > $3 AND id <= $4",
    "UPDATE session_messaging SET body_mark = $4
        WHERE organization = $1 AND session = $2 AND body_mark = $3",
];
pub(crate) const EXPIRE_CONTENTS: [&str; 2] = [
    "UPDATE messages SET content = NULL
        WHERE organization = $1 AND session = $2 AND id > $3 AND id <= $4",
    "UPDATE session_messaging SET content_mark = $4
        WHERE organization = $1 AND session = $2 AND content_mark = $3",
];

//! Statements about the messages of all organizations, for deliveries of nodes, the outbox and the
//! feed. Lists of rows are one parameter, JSON text; each entry names organization and session.
//!
//! Decision: ADR 0037.

use crate::{
    DatabaseKind,
    rows::json_rows::{JsonColumn, json_rows, names},
};

/// The columns that identify a session.
const OWNER: [JsonColumn; 2] = [("organization", "text"), ("session", "text")];

/// The columns of `session_messaging` that a change replaces.
const COUNTERS: [JsonColumn; 10] = [
    ("version", "bigint"),
    ("sequence", "bigint"),
    ("last_chat", "bigint"),
    ("last_message", "bigint"),
    ("account", "text"),
    ("journal", "text"),
    ("journal_sequence", "bigint"),
    ("queued", "bigint"),
    ("paused_until", "bigint"),
    ("outbox_due", "bigint"),
];

/// The columns of `chats` after those that identify the session.
const CHAT: [JsonColumn; 14] = [
    ("id", "bigint"),
    ("account", "text"),
    ("phone", "text"),
    ("lid", "text"),
    ("group_jid", "text"),
    ("contact_name", "text"),
    ("push_name", "text"),
    ("unread", "bigint"),
    ("last_at", "bigint"),
    ("last_message", "bigint"),
    ("timer_seconds", "bigint"),
    ("timer_changed_at", "bigint"),
    ("has_inbound", "boolean"),
    ("merged_into", "bigint"),
];

const CHAT_NAME: [JsonColumn; 4] =
    [("name", "text"), ("account", "text"), ("chat", "bigint"), ("checked_at", "bigint")];

/// The columns of `messages` after those that identify the session, without body and content.
const MESSAGE: [JsonColumn; 17] = [
    ("id", "bigint"),
    ("chat", "bigint"),
    ("wa_id", "text"),
    ("sender", "text"),
    ("sender_alt", "text"),
    ("sender_name", "text"),
    ("source", "text"),
    ("kind", "text"),
    ("flags", "bigint"),
    ("hidden", "boolean"),
    ("level", "bigint"),
    ("failure", "text"),
    ("at", "bigint"),
    ("created_at", "bigint"),
    ("updated_at", "bigint"),
    ("ephemeral_seconds", "bigint"),
    ("reference", "text"),
];

/// Body and content of a message, as hexadecimal digits.
const CONTENT: [JsonColumn; 2] = [("body", "text"), ("content", "text")];

/// The columns of `outbox` after those that identify the message.
const ENTRY: [JsonColumn; 13] = [
    ("id", "text"),
    ("wa_id", "text"),
    ("chat", "bigint"),
    ("account", "text"),
    ("state", "text"),
    ("typing_millis", "bigint"),
    ("accepted_at", "bigint"),
    ("due", "bigint"),
    ("expires_at", "bigint"),
    ("first_handed_at", "bigint"),
    ("handed_at", "bigint"),
    ("attempts", "bigint"),
    ("finished_at", "bigint"),
];

const EVENT: [JsonColumn; 10] = [
    ("id", "text"),
    ("organization", "text"),
    ("session", "text"),
    ("stream", "text"),
    ("sequence", "bigint"),
    ("name", "text"),
    ("at", "bigint"),
    ("actor_kind", "text"),
    ("actor_name", "text"),
    ("payload", "text"),
];

/// Returns the names of columns with a prefix, separated by commas.
fn prefixed(prefix: &str, columns: &[JsonColumn]) -> String {
    columns.iter().map(|(name, _)| format!("{prefix}.{name}")).collect::<Vec<_>>().join(", ")
}

/// Returns the columns of a session's counters.
pub(crate) fn counters_columns() -> String {
    prefixed("session_messaging", &[&OWNER[..], &COUNTERS].concat())
}

/// Returns the columns of entries of the outbox.
pub(crate) fn entry_columns() -> String {
    prefixed("outbox", &[&OWNER[..], &[("message", "bigint")], &ENTRY].concat())
}

/// Returns the columns of messages, without body and content.
pub(crate) fn message_columns() -> String {
    prefixed("messages", &[&OWNER[..], &MESSAGE].concat())
}

/// Returns assignments of columns from the columns of the same names in `source`.
fn assignments(columns: &[JsonColumn], source: &str) -> String {
    let assignments = columns.iter().map(|(name, _)| format!("{name} = {source}.{name}"));
    assignments.collect::<Vec<_>>().join(", ")
}

/// Returns conditions that a row of a table has the listed columns.
fn matches(table: &str, columns: &[JsonColumn]) -> String {
    let conditions = columns.iter().map(|(name, _)| format!("{table}.{name} = entry.{name}"));
    conditions.collect::<Vec<_>>().join(" AND ")
}

/// Returns the bytes of a column of hexadecimal digits.
fn bytes(kind: DatabaseKind, column: &str) -> String {
    match kind {
        DatabaseKind::Postgres => format!("decode(entry.{column}, 'hex')"),
        DatabaseKind::Sqlite => format!("unhex(entry.{column})"),
    }
}

/// Returns a statement that selects rows of a table by listed columns.
fn select_by(
    kind: DatabaseKind,
    table: &str,
    columns: &[JsonColumn],
    keys: &[JsonColumn],
) -> String {
    format!(
        "SELECT {columns} FROM {rows} JOIN {table} ON {is_listed}",
        columns = prefixed(table, columns),
        rows = json_rows(kind, keys),
        is_listed = matches(table, keys),
    )
}

/// Returns the part of a statement that finds listed sessions by their ids. Without
/// `MATERIALIZED`, PostgreSQL may read all counters first.
fn present_sessions(kind: DatabaseKind) -> String {
    format!(
        "WITH present AS MATERIALIZED (SELECT sessions.id AS id, sessions.organization AS owner,
            sessions.phone_number AS phone, sessions.gateway AS gateway,
            sessions.auto_read AS auto_read
            FROM {rows} JOIN sessions ON sessions.id = entry.session)",
        rows = json_rows(kind, &OWNER[1..]),
    )
}

// Statements that read.

/// Selects the counters of listed sessions with the account and the node of each. Column: `session`.
pub(crate) fn sessions_statement(kind: DatabaseKind) -> String {
    format!(
        "{sessions} SELECT {columns}, session_messaging.removal_due, phone, gateway, auto_read
        FROM present JOIN session_messaging ON session_messaging.organization = owner
            AND session_messaging.session = id",
        sessions = present_sessions(kind),
        columns = counters_columns(),
    )
}

/// Selects the versions of the messages of listed sessions. Column: `session`.
pub(crate) fn versions_statement(kind: DatabaseKind) -> String {
    format!(
        "{sessions} SELECT id, session_messaging.version AS version
        FROM present JOIN session_messaging ON session_messaging.organization = owner
            AND session_messaging.session = id
        WHERE session_messaging.removal_due IS NULL",
        sessions = present_sessions(kind),
    )
}

/// Selects listed names of chats, of any account. Columns: those of a session, and `name`.
pub(crate) fn names_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("name", "text")]].concat();
    select_by(kind, "chat_names", &[&OWNER[..], &CHAT_NAME].concat(), &keys)
}

/// Selects the names of listed chats. Columns: those of a session, and `chat`.
pub(crate) fn chat_names_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("chat", "bigint")]].concat();
    select_by(kind, "chat_names", &[&OWNER[..], &CHAT_NAME].concat(), &keys)
}

/// Selects listed chats. Columns: those of a session, and `id`.
pub(crate) fn chats_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("id", "bigint")]].concat();
    select_by(kind, "chats", &[&OWNER[..], &CHAT].concat(), &keys)
}

/// Selects messages with listed ids at WhatsApp. Columns: those of a session, and `wa_id`.
pub(crate) fn messages_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("wa_id", "text")]].concat();
    select_by(kind, "messages", &[&OWNER[..], &MESSAGE].concat(), &keys)
}

/// Selects listed messages. Columns: those of a session, and `id`.
pub(crate) fn messages_by_number_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("id", "bigint")]].concat();
    select_by(kind, "messages", &[&OWNER[..], &MESSAGE].concat(), &keys)
}

/// Selects the entries in the outbox of listed messages. Columns: those of a session, and `message`.
pub(crate) fn entries_statement(kind: DatabaseKind) -> String {
    let message = [("message", "bigint")];
    let keys = [&OWNER[..], &message].concat();
    select_by(kind, "outbox", &[&OWNER[..], &message, &ENTRY].concat(), &keys)
}

/// Selects listed messages of callers that are not hidden, with their bodies. Columns: those of a
/// session, and `id`. Parameter: whether the session is within reach.
pub(crate) fn shown_messages_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("id", "bigint")]].concat();
    let columns = [&OWNER[..], &MESSAGE, &[("body", "blob")]].concat();
    format!("{} WHERE NOT hidden AND $2", select_by(kind, "messages", &columns, &keys))
}

/// Selects listed chats of callers. Columns and parameter as for messages.
pub(crate) fn shown_chats_statement(kind: DatabaseKind) -> String {
    format!("{} WHERE $2", chats_statement(kind))
}

/// Selects the entries in the outbox of listed messages of callers. Columns: those of a session, and
/// `message`. Parameter as for messages.
pub(crate) fn shown_entries_statement(kind: DatabaseKind) -> String {
    format!("{} WHERE $2", entries_statement(kind))
}

/// Selects the bodies of listed messages; null for messages without a body, and for missing ones. A
/// value and not a join, for which PostgreSQL may read the whole table. Columns: those of a session,
/// and `id`.
pub(crate) fn bodies_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("id", "bigint")]].concat();
    format!(
        "SELECT entry.organization AS organization, entry.session AS session, entry.id AS id,
            (SELECT body FROM messages WHERE {is_listed}) AS body FROM {rows}",
        is_listed = matches("messages", &keys),
        rows = json_rows(kind, &keys),
    )
}

// Statements that write, in the transaction of a change.

/// Replaces the counters of listed sessions that have the expected version; returns these sessions.
/// Columns: those of a session, the counters, and `expected`.
pub(crate) fn guard_statement(kind: DatabaseKind) -> String {
    format!(
        "UPDATE session_messaging SET {counters} FROM {rows} WHERE {is_listed}
            AND session_messaging.version = entry.expected AND session_messaging.removal_due IS NULL
        RETURNING session_messaging.session AS id",
        counters = assignments(&COUNTERS, "entry"),
        rows = json_rows(kind, &[&OWNER[..], &COUNTERS, &[("expected", "bigint")]].concat()),
        is_listed = matches("session_messaging", &OWNER),
    )
}

/// Returns a statement that inserts or replaces listed rows.
fn upsert(kind: DatabaseKind, table: &str, key: &str, columns: &[JsonColumn]) -> String {
    let columns = [&OWNER[..], columns].concat();
    format!(
        "INSERT INTO {table} ({names}) SELECT {names} FROM {rows} WHERE true
        ON CONFLICT ({key}) DO UPDATE SET {replaced}",
        names = names(&columns),
        rows = json_rows(kind, &columns),
        replaced = assignments(&columns, "excluded"),
    )
}

/// Inserts or replaces listed chats.
pub(crate) fn store_chats_statement(kind: DatabaseKind) -> String {
    upsert(kind, "chats", "organization, session, id", &CHAT)
}

/// Inserts or replaces listed names of chats.
pub(crate) fn store_names_statement(kind: DatabaseKind) -> String {
    upsert(kind, "chat_names", "organization, session, name, account", &CHAT_NAME)
}

/// Inserts listed messages.
pub(crate) fn insert_messages_statement(kind: DatabaseKind) -> String {
    let columns = [&OWNER[..], &MESSAGE].concat();
    format!(
        "INSERT INTO messages ({names}, body, content) SELECT {names}, {body}, {content} FROM {rows}",
        names = names(&columns),
        body = bytes(kind, "body"),
        content = bytes(kind, "content"),
        rows = json_rows(kind, &[&columns[..], &CONTENT].concat()),
    )
}

const STATE: [JsonColumn; 3] = [("level", "bigint"), ("failure", "text"), ("updated_at", "bigint")];

/// Changes the states of listed messages.
pub(crate) fn update_states_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("id", "bigint")]].concat();
    format!(
        "UPDATE messages SET {state} FROM {rows} WHERE {is_listed}",
        state = assignments(&STATE, "entry"),
        rows = json_rows(kind, &[&keys[..], &STATE].concat()),
        is_listed = matches("messages", &keys),
    )
}

/// Adds the contents of listed messages that could not be decrypted before.
pub(crate) fn recover_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("id", "bigint")]].concat();
    let recovered = [("kind", "text"), ("flags", "bigint"), ("hidden", "boolean")];
    format!(
        "UPDATE messages SET {recovered}, body = {body}, content = {content}
        FROM {rows} WHERE {is_listed}",
        recovered = assignments(&recovered, "entry"),
        body = bytes(kind, "body"),
        content = bytes(kind, "content"),
        rows = json_rows(kind, &[&keys[..], &recovered, &CONTENT].concat()),
        is_listed = matches("messages", &keys),
    )
}

/// Inserts listed entries of the outbox, except those with a key hash that exists.
pub(crate) fn insert_entries_statement(kind: DatabaseKind) -> String {
    let columns = [&OWNER[..], &[("message", "bigint")], &ENTRY].concat();
    let keys = [("key_hash", "text"), ("request", "text")];
    format!(
        "INSERT INTO outbox ({names}, key_hash, request)
        SELECT {names}, {key_hash}, {request} FROM {rows} WHERE true ON CONFLICT DO NOTHING",
        names = names(&columns),
        key_hash = bytes(kind, "key_hash"),
        request = bytes(kind, "request"),
        rows = json_rows(kind, &[&columns[..], &keys].concat()),
    )
}

/// Replaces listed entries of the outbox.
pub(crate) fn update_entries_statement(kind: DatabaseKind) -> String {
    let keys = [&OWNER[..], &[("message", "bigint")]].concat();
    format!(
        "UPDATE outbox SET {entry} FROM {rows} WHERE {is_listed}",
        entry = assignments(&ENTRY, "entry"),
        rows = json_rows(kind, &[&keys[..], &ENTRY].concat()),
        is_listed = matches("outbox", &keys),
    )
}

/// Inserts listed events. The database assigns positions in the order of the rows.
pub(crate) fn insert_events_statement(kind: DatabaseKind) -> String {
    format!(
        "INSERT INTO events ({names}) SELECT {names} FROM {rows} ORDER BY session, stream, sequence",
        names = names(&EVENT),
        rows = json_rows(kind, &EVENT),
    )
}

/// The statements that make one chat a part of another one. Parameters: the organization, the
/// session, the chat, the other one. Of two copies of one message, that of the other chat remains.
pub(crate) const MERGE: [&str; 5] = [
    "UPDATE chat_names SET chat = $4 WHERE organization = $1 AND session = $2 AND chat = $3",
    "UPDATE chats SET merged_into = $4 WHERE organization = $1 AND session = $2 AND merged_into = $3",
    "DELETE FROM messages WHERE organization = $1 AND session = $2 AND chat = $3
        AND EXISTS (SELECT 1 FROM messages AS other WHERE other.organization = $1
            AND other.session = $2 AND other.wa_id = messages.wa_id AND other.chat = $4
            AND other.sender = messages.sender)",
    "UPDATE messages SET chat = $4 WHERE organization = $1 AND session = $2 AND chat = $3",
    "UPDATE outbox SET chat = $4 WHERE organization = $1 AND session = $2 AND chat = $3",
];

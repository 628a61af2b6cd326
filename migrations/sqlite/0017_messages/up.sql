-- Chats, messages and the outbox. Message traffic changes these tables and never the row of the session.

-- Settings of a session: which parts of messages stay stored, and for how many days.
ALTER TABLE sessions ADD COLUMN messages text NOT NULL DEFAULT 'full';
ALTER TABLE sessions ADD COLUMN retention_days integer NOT NULL DEFAULT 90;

-- Counters and marks of each session's messages. The row exists as long as the session, and after its delete until its
-- messages are removed.
CREATE TABLE session_messaging (
    organization text NOT NULL,
    session text NOT NULL,
    version integer NOT NULL,
    sequence integer NOT NULL,
    last_chat integer NOT NULL,
    last_message integer NOT NULL,
    account text,
    journal text,
    journal_sequence integer NOT NULL,
    queued integer NOT NULL,
    paused_until integer,
    outbox_due integer,
    removal_due integer,
    removed integer NOT NULL,
    body_mark integer NOT NULL,
    content_mark integer NOT NULL,
    PRIMARY KEY (organization, session)
) STRICT;

-- Outboxes that are due: the earliest, and those of each organization in turn (ADR 0030).
CREATE INDEX session_messaging_outbox_due ON session_messaging (outbox_due, session) WHERE outbox_due IS NOT NULL;
CREATE INDEX session_messaging_outbox_by_organization
    ON session_messaging ((organization || ''), outbox_due, session) WHERE outbox_due IS NOT NULL;
-- Only the statement that finds the next removal states the second condition, which is always true, so that no other
-- statement can use the index (ADR 0017).
CREATE INDEX session_messaging_removals ON session_messaging (removal_due, session)
    WHERE removal_due IS NOT NULL AND removed >= 0;

CREATE TABLE chats (
    organization text NOT NULL,
    session text NOT NULL,
    id integer NOT NULL,
    account text NOT NULL,
    phone text,
    lid text,
    group_jid text,
    contact_name text,
    push_name text,
    unread integer NOT NULL,
    last_at integer NOT NULL,
    last_message integer,
    timer_seconds integer NOT NULL,
    timer_changed_at integer NOT NULL,
    has_inbound integer NOT NULL,
    merged_into integer,
    PRIMARY KEY (organization, session, id)
) STRICT;

CREATE INDEX chats_by_activity ON chats (organization, session, account, last_at DESC, id DESC)
    WHERE merged_into IS NULL;
CREATE INDEX chats_merged ON chats (organization, session, merged_into) WHERE merged_into IS NOT NULL;

-- Every name that leads to a chat: addresses, and digits that WhatsApp translated. Without a chat, the digits have no
-- account.
CREATE TABLE chat_names (
    organization text NOT NULL,
    session text NOT NULL,
    name text NOT NULL,
    account text NOT NULL,
    chat integer,
    checked_at integer,
    PRIMARY KEY (organization, session, name, account)
) STRICT;

CREATE INDEX chat_names_of_chat ON chat_names (organization, session, chat) WHERE chat IS NOT NULL;

-- Body and content are sealed if the operator has seal keys (ADR 0042).
CREATE TABLE messages (
    organization text NOT NULL,
    session text NOT NULL,
    id integer NOT NULL,
    chat integer NOT NULL,
    wa_id text NOT NULL,
    sender text NOT NULL,
    sender_alt text,
    sender_name text,
    source text NOT NULL,
    kind text NOT NULL,
    flags integer NOT NULL,
    hidden integer NOT NULL,
    level integer NOT NULL,
    failure text,
    at integer NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    ephemeral_seconds integer NOT NULL,
    reference text,
    body blob,
    content blob,
    PRIMARY KEY (organization, session, id)
) STRICT;

CREATE UNIQUE INDEX messages_once ON messages (organization, session, wa_id, chat, sender);
CREATE INDEX messages_of_chat ON messages (organization, session, chat, at DESC, id DESC);
-- Only the list over all chats states the second condition, which is always true, so that no other statement can use the
-- index (ADR 0017).
CREATE INDEX messages_newest_first ON messages (organization, session, at DESC, id DESC)
    WHERE NOT hidden AND ephemeral_seconds >= 0;
CREATE INDEX messages_unsent ON messages (organization, session, level, at DESC, id DESC)
    WHERE NOT hidden AND level <= 0;
CREATE INDEX messages_by_reference ON messages (organization, session, reference, at DESC, id DESC)
    WHERE reference IS NOT NULL;

-- Messages that callers gave berth to send. The content is that of the message.
CREATE TABLE outbox (
    organization text NOT NULL,
    session text NOT NULL,
    message integer NOT NULL,
    id text NOT NULL,
    wa_id text NOT NULL,
    chat integer NOT NULL,
    account text NOT NULL,
    state text NOT NULL,
    typing_millis integer,
    key_hash blob,
    request blob,
    accepted_at integer NOT NULL,
    due integer NOT NULL,
    expires_at integer NOT NULL,
    first_handed_at integer,
    handed_at integer,
    attempts integer NOT NULL,
    finished_at integer,
    PRIMARY KEY (organization, session, message)
) STRICT;

CREATE UNIQUE INDEX outbox_by_key ON outbox (organization, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX outbox_waiting ON outbox (organization, session, chat, message) WHERE finished_at IS NULL;
CREATE INDEX outbox_queue ON outbox (organization, session, message) WHERE finished_at IS NULL;
CREATE INDEX outbox_pace ON outbox (organization, session, handed_at) WHERE handed_at IS NOT NULL;
-- For the removal, over all organizations. Only its statement states the second condition, which is always true (ADR
-- 0017).
CREATE INDEX outbox_finished ON outbox (finished_at) WHERE finished_at IS NOT NULL AND attempts >= 0;
-- For the age of the oldest message that waits, as above.
CREATE INDEX outbox_oldest ON outbox (accepted_at) WHERE finished_at IS NULL AND attempts >= 0;

-- The database keeps the rows of counters, whoever inserts and deletes sessions: also an older berth. A session with the
-- id of a deleted one continues its sequence numbers.
CREATE TRIGGER sessions_inserted_messaging AFTER INSERT ON sessions BEGIN
    INSERT INTO session_messaging (organization, session, version, sequence, last_chat, last_message, journal_sequence,
            queued, removed, body_mark, content_mark)
        VALUES (new.organization, new.id, 0,
            coalesce((SELECT max(sequence) FROM events WHERE session = new.id AND stream = 'messages'), 0),
            0, 0, 0, 0, 0, 0, 0)
        ON CONFLICT (organization, session) DO NOTHING;
END;

-- After the delete of a session, no change of its messages meets its version, and the worker removes them. A session
-- without messages has nothing to remove.
CREATE TRIGGER sessions_deleted_messaging AFTER DELETE ON sessions BEGIN
    DELETE FROM session_messaging WHERE organization = old.organization AND session = old.id AND last_message = 0
        AND last_chat = 0 AND sequence = 0;
    UPDATE session_messaging SET version = version + 1, removal_due = 0, outbox_due = NULL
        WHERE organization = old.organization AND session = old.id;
END;

-- A session that begins to work sends what waits; a session with another number sends no more of it.
CREATE TRIGGER sessions_updated_messaging AFTER UPDATE OF status, phone_number ON sessions
    WHEN old.phone_number IS NOT new.phone_number OR (new.status = 'working' AND old.status <> 'working') BEGIN
    UPDATE session_messaging SET version = version + 1, outbox_due = 0
        WHERE organization = new.organization AND session = new.id AND queued > 0 AND removal_due IS NULL;
END;

INSERT INTO session_messaging (organization, session, version, sequence, last_chat, last_message, journal_sequence,
        queued, removed, body_mark, content_mark)
    SELECT organization, id, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM sessions;

-- Chats, messages and the outbox. Message traffic changes these tables and never the row of the session.

-- Settings of a session: which parts of messages stay stored, and for how many days.
ALTER TABLE sessions ADD COLUMN messages text NOT NULL DEFAULT 'full';
ALTER TABLE sessions ADD COLUMN retention_days bigint NOT NULL DEFAULT 90;

-- Counters and marks of each session's messages. The row exists as long as the session, and after its delete until its
-- messages are removed.
CREATE TABLE session_messaging (
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    sequence bigint NOT NULL,
    last_chat bigint NOT NULL,
    last_message bigint NOT NULL,
    account text COLLATE "C",
    journal text,
    journal_sequence bigint NOT NULL,
    queued bigint NOT NULL,
    paused_until bigint,
    outbox_due bigint,
    removal_due bigint,
    removed bigint NOT NULL,
    body_mark bigint NOT NULL,
    content_mark bigint NOT NULL,
    PRIMARY KEY (organization, session)
) WITH (fillfactor = 50);

-- Outboxes that are due: the earliest, and those of each organization in turn (ADR 0030).
CREATE INDEX session_messaging_outbox_due ON session_messaging (outbox_due, session) WHERE outbox_due IS NOT NULL;
CREATE INDEX session_messaging_outbox_by_organization
    ON session_messaging ((organization || ''), outbox_due, session) WHERE outbox_due IS NOT NULL;
-- Only the statement that finds the next removal states the second condition, which is always true, so that no other
-- statement can use the index (ADR 0017).
CREATE INDEX session_messaging_removals ON session_messaging (removal_due, session)
    WHERE removal_due IS NOT NULL AND removed >= 0;

CREATE TABLE chats (
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    account text COLLATE "C" NOT NULL,
    phone text,
    lid text,
    group_jid text,
    contact_name text,
    push_name text,
    unread bigint NOT NULL,
    last_at bigint NOT NULL,
    last_message bigint,
    timer_seconds bigint NOT NULL,
    timer_changed_at bigint NOT NULL,
    has_inbound boolean NOT NULL,
    merged_into bigint,
    PRIMARY KEY (organization, session, id)
) WITH (fillfactor = 70);

CREATE INDEX chats_by_activity ON chats (organization, session, account, last_at DESC, id DESC)
    WHERE merged_into IS NULL;
CREATE INDEX chats_merged ON chats (organization, session, merged_into) WHERE merged_into IS NOT NULL;

-- Every name that leads to a chat: addresses, and digits that WhatsApp translated. Without a chat, the digits have no
-- account.
CREATE TABLE chat_names (
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    chat bigint,
    checked_at bigint,
    PRIMARY KEY (organization, session, name, account)
);

CREATE INDEX chat_names_of_chat ON chat_names (organization, session, chat) WHERE chat IS NOT NULL;

-- Body and content are sealed if the operator has seal keys (ADR 0042).
CREATE TABLE messages (
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    id bigint NOT NULL,
    chat bigint NOT NULL,
    wa_id text COLLATE "C" NOT NULL,
    sender text COLLATE "C" NOT NULL,
    sender_alt text,
    sender_name text,
    source text NOT NULL,
    kind text NOT NULL,
    flags bigint NOT NULL,
    hidden boolean NOT NULL,
    level bigint NOT NULL,
    failure text,
    at bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    ephemeral_seconds bigint NOT NULL,
    reference text COLLATE "C",
    body bytea,
    content bytea,
    PRIMARY KEY (organization, session, id)
);

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
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    message bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    wa_id text COLLATE "C" NOT NULL,
    chat bigint NOT NULL,
    account text NOT NULL,
    state text NOT NULL,
    typing_millis bigint,
    key_hash bytea,
    request bytea,
    accepted_at bigint NOT NULL,
    due bigint NOT NULL,
    expires_at bigint NOT NULL,
    first_handed_at bigint,
    handed_at bigint,
    attempts bigint NOT NULL,
    finished_at bigint,
    PRIMARY KEY (organization, session, message)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX outbox_by_key ON outbox (organization, key_hash) WHERE key_hash IS NOT NULL;
CREATE INDEX outbox_waiting ON outbox (organization, session, chat, message) WHERE finished_at IS NULL;
CREATE INDEX outbox_queue ON outbox (organization, session, message) WHERE finished_at IS NULL;
CREATE INDEX outbox_pace ON outbox (organization, session, handed_at) WHERE handed_at IS NOT NULL;
-- For the removal, over all organizations. Only its statement states the second condition, which is always true (ADR
-- 0017).
CREATE INDEX outbox_finished ON outbox (finished_at) WHERE finished_at IS NOT NULL AND attempts >= 0;
-- For the age of the oldest message that waits, as above.
CREATE INDEX outbox_oldest ON outbox (accepted_at) WHERE finished_at IS NULL AND attempts >= 0;

-- A session has one organization. Without this, PostgreSQL expects a fraction of the rows of a session.
CREATE STATISTICS chats_owner (dependencies) ON organization, session FROM chats;
CREATE STATISTICS messages_owner (dependencies) ON organization, session, chat FROM messages;
CREATE STATISTICS outbox_owner (dependencies) ON organization, session FROM outbox;

-- The database keeps the rows of counters, whoever inserts and deletes sessions: also an older berth. A session with the
-- id of a deleted one continues its sequence numbers.
CREATE FUNCTION begin_session_messaging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO session_messaging (organization, session, version, sequence, last_chat, last_message, journal_sequence,
            queued, removed, body_mark, content_mark)
        SELECT organization, id, 0,
            coalesce((SELECT max(events.sequence) FROM events
                WHERE events.session = changed.id AND stream = 'messages'), 0),
            0, 0, 0, 0, 0, 0, 0 FROM changed ORDER BY organization, id
        ON CONFLICT (organization, session) DO NOTHING;
    RETURN NULL;
END $$;

-- After the delete of a session, no change of its messages meets its version, and the worker removes them. A session
-- without messages has nothing to remove.
CREATE FUNCTION end_session_messaging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM session_messaging USING changed WHERE session_messaging.organization = changed.organization
        AND session_messaging.session = changed.id AND last_message = 0 AND last_chat = 0
        AND session_messaging.sequence = 0;
    UPDATE session_messaging SET version = session_messaging.version + 1, removal_due = 0, outbox_due = NULL
        FROM changed WHERE session_messaging.organization = changed.organization
            AND session_messaging.session = changed.id;
    RETURN NULL;
END $$;

-- A session that begins to work sends what waits; a session with another number sends no more of it.
CREATE FUNCTION wake_session_messaging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE session_messaging SET version = version + 1, outbox_due = 0
        WHERE organization = new.organization AND session = new.id AND queued > 0 AND removal_due IS NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_inserted_messaging AFTER INSERT ON sessions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION begin_session_messaging();
CREATE TRIGGER sessions_deleted_messaging AFTER DELETE ON sessions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION end_session_messaging();
CREATE TRIGGER sessions_updated_messaging AFTER UPDATE OF status, phone_number ON sessions FOR EACH ROW
    WHEN (old.phone_number IS DISTINCT FROM new.phone_number OR (new.status = 'working' AND old.status <> 'working'))
    EXECUTE FUNCTION wake_session_messaging();

INSERT INTO session_messaging (organization, session, version, sequence, last_chat, last_message, journal_sequence,
        queued, removed, body_mark, content_mark)
    SELECT organization, id, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM sessions;

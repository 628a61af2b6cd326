-- The feed: one order over the events of all organizations, in which streams and webhooks resume (ADR 0037). SQLite has
-- one writer at a time, so positions are committed in order. AUTOINCREMENT never gives a number again, not even after
-- the newest row was removed. The table is made anew, because SQLite cannot change a primary key.
CREATE TABLE events_with_position (
    position integer NOT NULL PRIMARY KEY AUTOINCREMENT,
    id text NOT NULL,
    organization text NOT NULL,
    session text,
    stream text NOT NULL DEFAULT 'session',
    sequence integer NOT NULL,
    name text NOT NULL,
    at integer NOT NULL,
    actor_kind text NOT NULL,
    actor_name text,
    payload text
) STRICT;
INSERT INTO events_with_position (id, organization, session, sequence, name, at, actor_kind, actor_name, payload)
    SELECT id, organization, session, sequence, name, at, actor_kind, actor_name, payload FROM events ORDER BY id;
DROP TABLE events;
ALTER TABLE events_with_position RENAME TO events;

-- The audit log lists one stream, by id.
CREATE UNIQUE INDEX events_in_stream_by_id ON events (organization, stream, id);
CREATE UNIQUE INDEX events_in_stream ON events (session, stream, sequence) WHERE session IS NOT NULL;
CREATE INDEX events_by_name ON events (organization, name, id);
CREATE INDEX events_with_codes ON events (at, id) WHERE name IN ('auth.qr', 'auth.code');
-- For the feed of one organization. Statements of one organization state the position as this expression, so that
-- SQLite cannot choose the primary key, which orders the events of all organizations.
CREATE INDEX events_feed ON events (organization, (position + 0));

-- For each organization, the position up to which events were removed.
CREATE TABLE feed_floors (
    organization text NOT NULL PRIMARY KEY,
    position integer NOT NULL
) STRICT;
-- The events of earlier versions are in the audit log and not in the feed.
INSERT INTO feed_floors SELECT organization, max(position) FROM events GROUP BY organization;

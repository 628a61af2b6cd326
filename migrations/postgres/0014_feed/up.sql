-- The feed: one order over the events of all organizations, in which streams and webhooks resume. ADR 0037 says why a
-- reader may read up to feed_horizon() and no further.

-- CACHE 1, because connections with a block of numbers each would use them in another order than they draw them.
CREATE SEQUENCE events_position CACHE 1;
SELECT setval('events_position', 1, true);

-- Rows of earlier versions keep 0: they are in the audit log and not in the feed.
ALTER TABLE events ADD COLUMN position bigint NOT NULL DEFAULT 0;
ALTER TABLE events ALTER COLUMN position SET DEFAULT nextval('events_position');

ALTER TABLE events ADD COLUMN stream text COLLATE "C" NOT NULL DEFAULT 'session';
ALTER TABLE events ALTER COLUMN payload DROP NOT NULL;
-- The audit log lists one stream, by id.
CREATE UNIQUE INDEX events_in_stream_by_id ON events (organization, stream, id);
ALTER TABLE events DROP CONSTRAINT events_pkey,
    ADD CONSTRAINT events_pkey PRIMARY KEY USING INDEX events_in_stream_by_id;
CREATE UNIQUE INDEX events_in_stream ON events (session, stream, sequence) WHERE session IS NOT NULL;
DROP INDEX events_in_sequence;

-- For the feed of one organization. On SQLite, the expression keeps its statements away from the primary key; the
-- statements are the same on both databases.
CREATE INDEX events_feed ON events (organization, (position + 0)) WHERE position > 0;
-- For the feed of all organizations. The condition on sequence is always true; only statements over all organizations
-- state it, so that no other statement can use this index (ADR 0017).
CREATE UNIQUE INDEX events_feed_of_all ON events (position) WHERE position > 0 AND sequence >= 0;

-- Takes a shared lock before a statement inserts events and so before it draws positions. The lock's key is the newest
-- position of that time: every position of the transaction is greater. 25189 marks the locks of the feed.
CREATE FUNCTION lock_events_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared((25189::bigint << 48) | last_value) FROM events_position;
    RETURN NULL;
END $$;
CREATE TRIGGER lock_events_position BEFORE INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION lock_events_position();

-- Returns the position up to which every event is committed or will never exist, and the newest position. The newest
-- position is read before the locks: a transaction whose lock is not seen then has ended, or draws greater positions
-- later. A standby does not know the locks of its primary.
CREATE FUNCTION feed_horizon(OUT safe bigint, OUT newest bigint) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    oldest_lock bigint;
BEGIN
    IF pg_is_in_recovery() THEN
        RAISE read_only_sql_transaction USING MESSAGE = 'a standby cannot tell how far the feed can be read';
    END IF;
    SELECT last_value INTO newest FROM events_position;
    SELECT min(((classid::bigint & 65535) << 32) | objid::bigint) INTO oldest_lock FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 16 = 25189
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    safe := least(newest, coalesce(oldest_lock, newest));
END $$;

-- For each organization, the position up to which events were removed.
CREATE TABLE feed_floors (
    organization text COLLATE "C" NOT NULL PRIMARY KEY,
    position bigint NOT NULL
);

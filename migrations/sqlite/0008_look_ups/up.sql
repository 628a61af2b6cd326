-- SQLite cannot change a primary key in place, so the table is made anew.
ALTER TABLE api_keys RENAME TO api_keys_before;
DROP INDEX api_keys_newest_first;
CREATE TABLE api_keys (
    id text NOT NULL,
    organization text NOT NULL,
    name text NOT NULL,
    capabilities text NOT NULL,
    sessions text,
    digest blob NOT NULL,
    created_by_kind text NOT NULL,
    created_by_name text,
    created_at integer NOT NULL,
    expires_at integer,
    last_used_at integer,
    revoked_at integer,
    -- Until when a key is good: for ever, until it expires, or no more.
    good_until integer NOT NULL GENERATED ALWAYS AS
        (CASE WHEN revoked_at IS NULL THEN COALESCE(expires_at, 9223372036854775807) ELSE -1 END) STORED,
    -- As sessions: a foreign key and a missing one are the same miss for whoever asks for it by name.
    PRIMARY KEY (organization, id)
) STRICT;
INSERT INTO api_keys (id, organization, name, capabilities, sessions, digest, created_by_kind,
    created_by_name, created_at, expires_at, last_used_at, revoked_at)
SELECT id, organization, name, capabilities, sessions, digest, created_by_kind,
    created_by_name, created_at, expires_at, last_used_at, revoked_at FROM api_keys_before;
DROP TABLE api_keys_before;

-- The door asks for a good key of a digest, by this index; so an unknown key, a wrong secret, a revoked
-- and an expired key are the same index miss.
CREATE INDEX api_keys_at_the_door ON api_keys (digest, good_until);
-- By name alone for berth's own work; and no name twice.
CREATE INDEX api_keys_by_id ON api_keys (id, organization);
CREATE UNIQUE INDEX api_keys_once ON api_keys (id || '');
-- Those that were revoked are in no list, however many they become.
CREATE INDEX api_keys_newest_first ON api_keys (organization, created_at DESC, id DESC)
    WHERE revoked_at IS NULL;

-- One for each thing that lists of sessions are narrowed by, each in the order of the list.
CREATE INDEX sessions_by_status ON sessions (organization, status, created_at DESC, id DESC);
CREATE INDEX sessions_by_label ON sessions (organization, label, created_at DESC, id DESC)
    WHERE label IS NOT NULL;
CREATE INDEX sessions_by_phone ON sessions (organization, phone_number, created_at DESC, id DESC)
    WHERE phone_number IS NOT NULL;
CREATE INDEX sessions_by_node ON sessions (organization, gateway, created_at DESC, id DESC)
    WHERE gateway IS NOT NULL;

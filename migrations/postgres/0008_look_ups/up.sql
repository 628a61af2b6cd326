-- Until when a key is good: for ever, until it expires, or no more. The door asks for a good key of a
-- digest, by the index below; so an unknown key, a wrong secret, a revoked and an expired key are the
-- same index miss.
ALTER TABLE api_keys ADD COLUMN good_until bigint NOT NULL GENERATED ALWAYS AS
    (CASE WHEN revoked_at IS NULL THEN COALESCE(expires_at, 9223372036854775807) ELSE -1 END) STORED;
CREATE INDEX api_keys_at_the_door ON api_keys (digest, good_until);

-- As sessions: the organization comes first, so that a foreign key and a missing one are the same miss
-- for whoever asks for it by name; by name alone for berth's own work; and no name twice.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_pkey;
ALTER TABLE api_keys ADD PRIMARY KEY (organization, id);
CREATE INDEX api_keys_by_id ON api_keys (id, organization);
CREATE UNIQUE INDEX api_keys_once ON api_keys ((id || ''));

-- Those that were revoked are in no list, however many they become.
DROP INDEX api_keys_newest_first;
CREATE INDEX api_keys_newest_first ON api_keys (organization, created_at DESC, id DESC)
    WHERE revoked_at IS NULL;

-- One for each thing that lists of sessions are narrowed by, each in the order of the list. That order is
-- an expression, so that a narrowed list can be read from no other index: see scope/place.rs.
CREATE INDEX sessions_by_status ON sessions (organization, status, (created_at + 0) DESC, id DESC);
CREATE INDEX sessions_by_label ON sessions (organization, label, (created_at + 0) DESC, id DESC)
    WHERE label IS NOT NULL;
CREATE INDEX sessions_by_phone ON sessions (organization, phone_number, (created_at + 0) DESC, id DESC)
    WHERE phone_number IS NOT NULL;
CREATE INDEX sessions_by_node ON sessions (organization, gateway, (created_at + 0) DESC, id DESC)
    WHERE gateway IS NOT NULL;

-- The worker takes what is due by turns from each organization, so that one with 20,000 due rows keeps no other
-- waiting: the next organization, and its earliest row, are one step in these. On an expression, so that no look-up of
-- a caller is ever planned on them.
CREATE INDEX sessions_due_by_organization ON sessions ((organization || ''), due, id) WHERE due IS NOT NULL;
CREATE INDEX retirements_due_by_organization ON retirements ((organization || ''), due, session);
-- Sessions that wait for a node with room, the longest waiting of each organization first.
CREATE INDEX sessions_without_a_node ON sessions ((organization || ''), updated_at, id)
    WHERE gateway IS NULL AND desired = 'running';

-- Keys that are removed some time after they ended.
CREATE INDEX api_keys_by_revocation ON api_keys (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at) WHERE expires_at IS NOT NULL;

-- Codes to scan or type are blanked some time after they died.
CREATE INDEX events_with_codes ON events (at, id) WHERE name IN ('auth.qr', 'auth.code');

-- How far berth's own work has come; and a row that is written to see whether the database takes writes.
CREATE TABLE marks (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    id text COLLATE "C" NOT NULL
);

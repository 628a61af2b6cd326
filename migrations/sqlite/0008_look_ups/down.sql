DROP INDEX sessions_by_node;
DROP INDEX sessions_by_phone;
DROP INDEX sessions_by_label;
DROP INDEX sessions_by_status;
ALTER TABLE api_keys RENAME TO api_keys_after;
DROP INDEX api_keys_newest_first;
CREATE TABLE api_keys (
    id text PRIMARY KEY,
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
    revoked_at integer
) STRICT;
INSERT INTO api_keys (id, organization, name, capabilities, sessions, digest, created_by_kind,
    created_by_name, created_at, expires_at, last_used_at, revoked_at)
SELECT id, organization, name, capabilities, sessions, digest, created_by_kind,
    created_by_name, created_at, expires_at, last_used_at, revoked_at FROM api_keys_after;
DROP TABLE api_keys_after;
CREATE INDEX api_keys_newest_first ON api_keys (organization, created_at DESC, id DESC);

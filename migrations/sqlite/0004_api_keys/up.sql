-- The door looks a key up before it knows whose it is, hence the id alone as primary key.
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

CREATE INDEX api_keys_newest_first ON api_keys (organization, created_at DESC, id DESC);

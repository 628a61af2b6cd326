-- The door looks a key up before it knows whose it is, hence the id alone as primary key.
CREATE TABLE api_keys (
    id text COLLATE "C" PRIMARY KEY,
    organization text COLLATE "C" NOT NULL,
    name text NOT NULL,
    capabilities text NOT NULL,
    sessions text,
    digest bytea NOT NULL,
    created_by_kind text NOT NULL,
    created_by_name text,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint
);

CREATE INDEX api_keys_newest_first ON api_keys (organization, created_at DESC, id DESC);

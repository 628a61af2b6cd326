-- Sessions of browsers (ADR 0055), found by the SHA-256 of the secret in the cookie. A session of a key names
-- the key, whose rights are read for each request; a session of a person has the claims of the login token.
CREATE TABLE browser_sessions (
    digest bytea NOT NULL PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    key_id text COLLATE "C",
    claims text,
    holder text COLLATE "C" NOT NULL,
    organization text COLLATE "C",
    created_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    ends_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX browser_sessions_by_holder ON browser_sessions (holder, last_used_at);
CREATE INDEX browser_sessions_by_organization ON browser_sessions (organization)
    WHERE organization IS NOT NULL;
CREATE INDEX browser_sessions_by_expiry ON browser_sessions (expires_at);

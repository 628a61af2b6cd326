-- Ids are compared byte by byte (COLLATE "C"), so that lists run in the same order on both databases.
-- Moments are milliseconds since the Unix epoch. What is read only as a whole is JSON text.
CREATE TABLE sessions (
    id text COLLATE "C" NOT NULL,
    organization text COLLATE "C" NOT NULL,
    created_by text,
    label text,
    auto_read boolean NOT NULL,
    presence_typing boolean NOT NULL,
    rate_per_min bigint,
    rate_per_hour bigint,
    metadata text NOT NULL,
    is_admin_session boolean NOT NULL,
    gateway text COLLATE "C",
    desired text NOT NULL,
    epoch bigint NOT NULL,
    wanted text NOT NULL,
    status text NOT NULL,
    reason text,
    identity text,
    phone_number text,
    pairing text,
    deadline bigint,
    heard text NOT NULL,
    last_connected_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    sequence bigint NOT NULL,
    due bigint,
    failures bigint NOT NULL,
    -- The organization comes first: a foreign session and a missing one are the same index miss.
    PRIMARY KEY (organization, id)
);

-- By name alone, for berth's own work. It holds the organization too: were it on the id alone, a caller's
-- look-up would be planned on it, find a foreign row and only then refuse it.
CREATE INDEX sessions_by_id ON sessions (id, organization);
-- No name twice. On an expression, so that no look-up is ever planned on it either.
CREATE UNIQUE INDEX sessions_once ON sessions ((id || ''));
CREATE INDEX sessions_newest_first ON sessions (organization, created_at DESC, id DESC);
CREATE INDEX sessions_due ON sessions (due, id) WHERE due IS NOT NULL;
CREATE INDEX sessions_by_gateway ON sessions (gateway) WHERE gateway IS NOT NULL;

CREATE TABLE retirements (
    session text COLLATE "C" PRIMARY KEY,
    organization text COLLATE "C" NOT NULL,
    gateway text COLLATE "C",
    epoch bigint NOT NULL,
    requested_by_kind text NOT NULL,
    requested_by_name text,
    requested_at bigint NOT NULL,
    deadline bigint NOT NULL,
    due bigint NOT NULL,
    attempts bigint NOT NULL,
    sequence bigint NOT NULL,
    told boolean NOT NULL
);

CREATE INDEX retirements_due ON retirements (due, session);
CREATE INDEX retirements_by_gateway ON retirements (gateway) WHERE gateway IS NOT NULL;

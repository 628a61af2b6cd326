-- Moments are milliseconds since the Unix epoch, flags are 0 or 1. What is read only as a whole is
-- JSON text.
CREATE TABLE sessions (
    id text NOT NULL,
    organization text NOT NULL,
    created_by text,
    label text,
    auto_read integer NOT NULL,
    presence_typing integer NOT NULL,
    rate_per_min integer,
    rate_per_hour integer,
    metadata text NOT NULL,
    is_admin_session integer NOT NULL,
    gateway text,
    desired text NOT NULL,
    epoch integer NOT NULL,
    wanted text NOT NULL,
    status text NOT NULL,
    reason text,
    identity text,
    phone_number text,
    pairing text,
    deadline integer,
    heard text NOT NULL,
    last_connected_at integer,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    version integer NOT NULL,
    sequence integer NOT NULL,
    due integer,
    failures integer NOT NULL,
    -- The organization comes first: a foreign session and a missing one are the same index miss.
    PRIMARY KEY (organization, id)
) STRICT;

-- By name alone, for berth's own work. It holds the organization too: were it on the id alone, a caller's
-- look-up would be planned on it, find a foreign row and only then refuse it.
CREATE INDEX sessions_by_id ON sessions (id, organization);
-- No name twice. On an expression, so that no look-up is ever planned on it either.
CREATE UNIQUE INDEX sessions_once ON sessions (id || '');
CREATE INDEX sessions_newest_first ON sessions (organization, created_at DESC, id DESC);
CREATE INDEX sessions_due ON sessions (due, id) WHERE due IS NOT NULL;
CREATE INDEX sessions_by_gateway ON sessions (gateway) WHERE gateway IS NOT NULL;

CREATE TABLE retirements (
    session text PRIMARY KEY,
    organization text NOT NULL,
    gateway text,
    epoch integer NOT NULL,
    requested_by_kind text NOT NULL,
    requested_by_name text,
    requested_at integer NOT NULL,
    deadline integer NOT NULL,
    due integer NOT NULL,
    attempts integer NOT NULL,
    sequence integer NOT NULL,
    told integer NOT NULL
) STRICT;

CREATE INDEX retirements_due ON retirements (due, session);
CREATE INDEX retirements_by_gateway ON retirements (gateway) WHERE gateway IS NOT NULL;

CREATE TABLE events (
    id text NOT NULL,
    organization text NOT NULL,
    session text,
    sequence integer NOT NULL,
    name text NOT NULL,
    at integer NOT NULL,
    actor_kind text NOT NULL,
    actor_name text,
    -- JSON text, which keeps the order of the particulars.
    payload text NOT NULL,
    PRIMARY KEY (organization, id)
) STRICT;

-- Two writers that both believe to be next cannot both be right.
CREATE UNIQUE INDEX events_in_sequence ON events (session, sequence) WHERE session IS NOT NULL;

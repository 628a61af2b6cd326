CREATE TABLE events (
    id text COLLATE "C" NOT NULL,
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    sequence bigint NOT NULL,
    name text NOT NULL,
    at bigint NOT NULL,
    actor_kind text NOT NULL,
    actor_name text,
    -- Text rather than jsonb, which would forget the order of the particulars.
    payload text NOT NULL,
    PRIMARY KEY (organization, id)
);

-- Two writers that both believe to be next cannot both be right.
CREATE UNIQUE INDEX events_in_sequence ON events (session, sequence) WHERE session IS NOT NULL;

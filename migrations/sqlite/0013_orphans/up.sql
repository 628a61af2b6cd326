-- Sessions that a node holds keys of and that no session and no retirement accounts for (ADR 0035).
CREATE TABLE orphans (
    gateway text NOT NULL,
    session text NOT NULL,
    epoch integer NOT NULL,
    since integer NOT NULL,
    told integer NOT NULL,
    PRIMARY KEY (gateway, session)
) STRICT;

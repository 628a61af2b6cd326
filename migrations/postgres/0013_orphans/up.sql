-- Sessions that a node holds keys of and that no session and no retirement accounts for (ADR 0035).
CREATE TABLE orphans (
    gateway text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    since bigint NOT NULL,
    told boolean NOT NULL,
    PRIMARY KEY (gateway, session)
);

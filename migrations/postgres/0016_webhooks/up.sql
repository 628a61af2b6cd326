-- Keys that seal the secrets of an organization, each wrapped by a seal key from outside the database (ADR 0042).
CREATE TABLE data_keys (
    organization text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    seal_key text COLLATE "C" NOT NULL,
    wrapped bytea NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization, number)
);

-- Keys that seal the secrets of an organization, each wrapped by a seal key from outside the database (ADR 0042).
CREATE TABLE data_keys (
    organization text NOT NULL,
    number integer NOT NULL,
    seal_key text NOT NULL,
    wrapped blob NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (organization, number)
) STRICT, WITHOUT ROWID;

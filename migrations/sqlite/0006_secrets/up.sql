-- What all routers over this database know and nobody else does. Each is made by the first that needs it.
CREATE TABLE secrets (
    name text NOT NULL PRIMARY KEY,
    value blob NOT NULL
) STRICT;

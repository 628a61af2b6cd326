CREATE TABLE gateways (
    id text PRIMARY KEY,
    address text NOT NULL,
    incarnation text NOT NULL,
    boot integer NOT NULL,
    version text NOT NULL,
    features text NOT NULL,
    capacity integer NOT NULL,
    held integer NOT NULL,
    beat_at integer NOT NULL,
    lost_at integer
) STRICT;

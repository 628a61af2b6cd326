CREATE TABLE gateways (
    id text COLLATE "C" PRIMARY KEY,
    address text NOT NULL,
    incarnation text NOT NULL,
    boot bigint NOT NULL,
    version text NOT NULL,
    features text NOT NULL,
    capacity bigint NOT NULL,
    held bigint NOT NULL,
    beat_at bigint NOT NULL,
    lost_at bigint
);

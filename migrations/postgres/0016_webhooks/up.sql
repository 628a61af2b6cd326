-- Keys that seal the secrets of an organization, each wrapped by a seal key from outside the database (ADR 0042).
CREATE TABLE data_keys (
    organization text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    seal_key text COLLATE "C" NOT NULL,
    wrapped bytea NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (organization, number)
);

-- Webhooks as their owners see them. Secrets and headers with credentials are sealed.
CREATE TABLE webhooks (
    id text COLLATE "C" NOT NULL,
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    url text NOT NULL,
    url_origin text NOT NULL,
    events text NOT NULL,
    active boolean NOT NULL,
    ordered boolean NOT NULL,
    headers text NOT NULL,
    sealed_headers bytea,
    secret bytea,
    previous_secret bytea,
    previous_secret_until bigint,
    secret_rotated_at bigint,
    backoff text NOT NULL,
    delay_seconds bigint NOT NULL,
    attempts bigint NOT NULL,
    paused boolean NOT NULL,
    disabled_reason text,
    resumed_at bigint,
    capabilities text NOT NULL,
    created_by_kind text NOT NULL,
    created_by_name text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (organization, id)
);

-- For the dispatcher, which reads the webhooks of all organizations in order. Only its statement states the condition,
-- which is always true and follows from no other condition: a version in a statement of an owner is greater than 0 (ADR
-- 0017).
CREATE UNIQUE INDEX webhooks_of_all ON webhooks (id) WHERE delay_seconds >= 0;
CREATE INDEX webhooks_newest_first ON webhooks (organization, created_at DESC, id DESC);

-- The progress of the deliveries: one narrow row per webhook, which is updated in place.
CREATE TABLE webhook_cursors (
    organization text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    replay_started_at bigint,
    replay_position bigint,
    replay_until bigint,
    replay_from bigint,
    replay_before bigint,
    replay_dead_only boolean,
    breaker_until bigint,
    breaker_step bigint NOT NULL,
    breaker_unreached bigint NOT NULL,
    failing_since bigint,
    failures bigint NOT NULL,
    succeeded_at bigint,
    last_error text,
    resumed_at bigint,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    dead bigint NOT NULL,
    gaps bigint NOT NULL,
    holder text,
    epoch bigint NOT NULL,
    leased_until bigint NOT NULL,
    due bigint,
    PRIMARY KEY (organization, webhook)
) WITH (fillfactor = 50);

-- Webhooks that a router must look at. Most flushes change neither column, so that they update no index.
CREATE INDEX webhook_cursors_due ON webhook_cursors (due) WHERE due IS NOT NULL;

-- The failing event of a session at a webhook, with the later events behind it.
CREATE TABLE webhook_retries (
    organization text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    pass bigint NOT NULL,
    ordering_key text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    sequence bigint NOT NULL,
    attempts bigint NOT NULL,
    due bigint NOT NULL,
    first_failed_at bigint NOT NULL,
    outcome text NOT NULL,
    status bigint,
    settled boolean NOT NULL,
    skip boolean NOT NULL,
    PRIMARY KEY (organization, webhook, pass, ordering_key)
);

-- Events that a webhook did not take. The event itself stays in the event log.
CREATE TABLE webhook_dead_letters (
    organization text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    position bigint NOT NULL,
    attempts bigint NOT NULL,
    first_failed_at bigint NOT NULL,
    died_at bigint NOT NULL,
    outcome text NOT NULL,
    status bigint,
    replayed_at bigint,
    PRIMARY KEY (organization, webhook, event)
);

CREATE INDEX webhook_dead_letters_newest_first
    ON webhook_dead_letters (organization, webhook, died_at DESC, event DESC);
CREATE INDEX webhook_dead_letters_in_order ON webhook_dead_letters (organization, webhook, position)
    WHERE replayed_at IS NULL;

-- The last attempts of each webhook.
CREATE TABLE webhook_attempts (
    organization text COLLATE "C" NOT NULL,
    webhook text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    event text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    replay boolean NOT NULL,
    at bigint NOT NULL,
    millis bigint NOT NULL,
    outcome text NOT NULL,
    status bigint,
    excerpt text,
    PRIMARY KEY (organization, webhook, id)
);

CREATE INDEX webhook_attempts_newest_first ON webhook_attempts (organization, webhook, at DESC, id DESC);

-- Events of the organization itself, for a retry queue of these. The expression is that of events_feed (migration 0014).
CREATE INDEX events_without_session ON events (organization, (position + 0)) WHERE session IS NULL;

-- A webhook has one organization. Without this, PostgreSQL expects a fraction of the rows of a webhook, and sorts all of
-- them for a page.
CREATE STATISTICS webhook_retries_owner (dependencies) ON organization, webhook FROM webhook_retries;
CREATE STATISTICS webhook_dead_letters_owner (dependencies) ON organization, webhook FROM webhook_dead_letters;
CREATE STATISTICS webhook_attempts_owner (dependencies) ON organization, webhook FROM webhook_attempts;

-- Counts webhooks for the quota (migration 0011).
CREATE FUNCTION count_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        SELECT organization, 'webhooks', sign * count(*) FROM changed GROUP BY organization ORDER BY organization
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE TRIGGER webhooks_inserted AFTER INSERT ON webhooks
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_webhooks();
CREATE TRIGGER webhooks_deleted AFTER DELETE ON webhooks
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_webhooks();

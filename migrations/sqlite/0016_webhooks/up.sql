-- Keys that seal the secrets of an organization, each wrapped by a seal key from outside the database (ADR 0042).
CREATE TABLE data_keys (
    organization text NOT NULL,
    number integer NOT NULL,
    seal_key text NOT NULL,
    wrapped blob NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (organization, number)
) STRICT, WITHOUT ROWID;

-- Webhooks as their owners see them. Secrets and headers with credentials are sealed.
CREATE TABLE webhooks (
    id text NOT NULL,
    organization text NOT NULL,
    session text,
    url text NOT NULL,
    url_origin text NOT NULL,
    events text NOT NULL,
    active integer NOT NULL,
    ordered integer NOT NULL,
    headers text NOT NULL,
    sealed_headers blob,
    secret blob,
    previous_secret blob,
    previous_secret_until integer,
    secret_rotated_at integer,
    backoff text NOT NULL,
    delay_seconds integer NOT NULL,
    attempts integer NOT NULL,
    paused integer NOT NULL,
    disabled_reason text,
    resumed_at integer,
    capabilities text NOT NULL,
    created_by_kind text NOT NULL,
    created_by_name text,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (organization, id)
) STRICT, WITHOUT ROWID;

-- For the dispatcher, which reads the webhooks of all organizations in order. Only its statement states the condition,
-- which is always true and follows from no other condition: a version in a statement of an owner is greater than 0 (ADR
-- 0017).
CREATE UNIQUE INDEX webhooks_of_all ON webhooks (id) WHERE delay_seconds >= 0;
CREATE INDEX webhooks_newest_first ON webhooks (organization, created_at DESC, id DESC);

-- The progress of the deliveries: one narrow row per webhook, which is updated in place.
CREATE TABLE webhook_cursors (
    organization text NOT NULL,
    webhook text NOT NULL,
    position integer NOT NULL,
    replay_started_at integer,
    replay_position integer,
    replay_until integer,
    replay_from integer,
    replay_before integer,
    replay_dead_only integer,
    breaker_until integer,
    breaker_step integer NOT NULL,
    breaker_unreached integer NOT NULL,
    failing_since integer,
    failures integer NOT NULL,
    succeeded_at integer,
    last_error text,
    resumed_at integer,
    delivered integer NOT NULL,
    failed integer NOT NULL,
    dead integer NOT NULL,
    gaps integer NOT NULL,
    holder text,
    epoch integer NOT NULL,
    leased_until integer NOT NULL,
    due integer,
    PRIMARY KEY (organization, webhook)
) STRICT, WITHOUT ROWID;

-- Webhooks that a router must look at. Most flushes change neither column, so that they update no index.
CREATE INDEX webhook_cursors_due ON webhook_cursors (due) WHERE due IS NOT NULL;

-- The failing event of a session at a webhook, with the later events behind it.
CREATE TABLE webhook_retries (
    organization text NOT NULL,
    webhook text NOT NULL,
    pass integer NOT NULL,
    ordering_key text NOT NULL,
    event text NOT NULL,
    position integer NOT NULL,
    sequence integer NOT NULL,
    attempts integer NOT NULL,
    due integer NOT NULL,
    first_failed_at integer NOT NULL,
    outcome text NOT NULL,
    status integer,
    settled integer NOT NULL,
    skip integer NOT NULL,
    PRIMARY KEY (organization, webhook, pass, ordering_key)
) STRICT, WITHOUT ROWID;

-- Events that a webhook did not take. The event itself stays in the event log.
CREATE TABLE webhook_dead_letters (
    organization text NOT NULL,
    webhook text NOT NULL,
    event text NOT NULL,
    session text,
    position integer NOT NULL,
    attempts integer NOT NULL,
    first_failed_at integer NOT NULL,
    died_at integer NOT NULL,
    outcome text NOT NULL,
    status integer,
    replayed_at integer,
    PRIMARY KEY (organization, webhook, event)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_dead_letters_newest_first
    ON webhook_dead_letters (organization, webhook, died_at DESC, event DESC);
CREATE INDEX webhook_dead_letters_in_order ON webhook_dead_letters (organization, webhook, position)
    WHERE replayed_at IS NULL;

-- The last attempts of each webhook.
CREATE TABLE webhook_attempts (
    organization text NOT NULL,
    webhook text NOT NULL,
    id text NOT NULL,
    event text NOT NULL,
    number integer NOT NULL,
    replay integer NOT NULL,
    at integer NOT NULL,
    millis integer NOT NULL,
    outcome text NOT NULL,
    status integer,
    excerpt text,
    PRIMARY KEY (organization, webhook, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_attempts_newest_first ON webhook_attempts (organization, webhook, at DESC, id DESC);

-- Events of the organization itself, for a retry queue of these. The expression is that of events_feed (migration 0014).
CREATE INDEX events_without_session ON events (organization, (position + 0)) WHERE session IS NULL;

-- Counts webhooks for the quota (migration 0011).
CREATE TRIGGER webhooks_inserted AFTER INSERT ON webhooks BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'webhooks', 1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER webhooks_deleted AFTER DELETE ON webhooks BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'webhooks', -1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

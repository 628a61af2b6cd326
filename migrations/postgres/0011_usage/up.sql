-- How much each organization has of what there may be only so much of, and how many of its attempts at
-- linking are remembered. The database counts by itself, whoever writes: also an older berth, an operator, and
-- whatever is made later. Whoever makes a count grow holds its row until the commit, so that of two that want
-- the last place the second sees what the first has taken.
CREATE TABLE usage (
    organization text COLLATE "C" NOT NULL,
    stock text COLLATE "C" NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (organization, stock)
) WITH (fillfactor = 50);

-- Attempts at linking, of sessions that may be gone. Of the phone there is a digest alone.
CREATE TABLE link_attempts (
    organization text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    phone bytea,
    at bigint NOT NULL,
    PRIMARY KEY (organization, session, at, epoch)
);

CREATE INDEX link_attempts_by_organization ON link_attempts (organization, at);
CREATE INDEX link_attempts_by_phone ON link_attempts (organization, phone, at) WHERE phone IS NOT NULL;
-- For the removal of old ones, over all organizations. The condition is always true and says so only to a
-- statement that states it, so that no caller's statement walks other organizations' attempts.
CREATE INDEX link_attempts_by_age ON link_attempts (at) WHERE epoch >= 0;

-- All that a statement has inserted or deleted is counted at once. Rows are always taken in the same order.
CREATE FUNCTION count_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        SELECT organization, stock, sign * sum(grown) FROM (
            SELECT organization, 'sessions' AS stock, 1 AS grown FROM changed
            UNION ALL
            SELECT organization, 'metadata', octet_length(metadata) - 2 FROM changed
                WHERE octet_length(metadata) > 2
        ) AS each GROUP BY organization, stock ORDER BY organization, stock
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE FUNCTION count_api_keys() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        SELECT organization, 'api_keys', sign * count(*) FROM changed
        WHERE revoked_at IS NULL GROUP BY organization ORDER BY organization
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE FUNCTION count_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        SELECT organization, 'idempotency_records', sign * sum(octet_length(answer)) FROM changed
        GROUP BY organization ORDER BY organization
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE FUNCTION count_link_attempts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        SELECT organization, 'link_attempts', sign * count(*) FROM changed
        GROUP BY organization ORDER BY organization
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

-- What an update makes larger or smaller. Most updates do neither, and come no further than the condition.
CREATE FUNCTION count_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        VALUES (new.organization, 'metadata', octet_length(new.metadata) - octet_length(old.metadata))
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE FUNCTION count_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        VALUES (new.organization, 'api_keys', CASE WHEN new.revoked_at IS NULL THEN 1 ELSE -1 END)
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE FUNCTION count_amendment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage AS known (organization, stock, used)
        VALUES (new.organization, 'idempotency_records', octet_length(new.answer) - octet_length(old.answer))
        ON CONFLICT (organization, stock) DO UPDATE SET used = known.used + excluded.used;
    RETURN NULL;
END $$;

CREATE TRIGGER sessions_inserted AFTER INSERT ON sessions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_sessions();
CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_sessions();
CREATE TRIGGER sessions_updated AFTER UPDATE OF metadata ON sessions FOR EACH ROW
    WHEN (octet_length(old.metadata) <> octet_length(new.metadata)) EXECUTE FUNCTION count_metadata();
CREATE TRIGGER api_keys_inserted AFTER INSERT ON api_keys
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_api_keys();
CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_api_keys();
CREATE TRIGGER api_keys_updated AFTER UPDATE OF revoked_at ON api_keys FOR EACH ROW
    WHEN ((old.revoked_at IS NULL) <> (new.revoked_at IS NULL)) EXECUTE FUNCTION count_revocation();
CREATE TRIGGER receipts_inserted AFTER INSERT ON receipts
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_receipts();
CREATE TRIGGER receipts_deleted AFTER DELETE ON receipts
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_receipts();
CREATE TRIGGER receipts_updated AFTER UPDATE OF answer ON receipts FOR EACH ROW
    WHEN (octet_length(old.answer) <> octet_length(new.answer)) EXECUTE FUNCTION count_amendment();
CREATE TRIGGER link_attempts_inserted AFTER INSERT ON link_attempts
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_link_attempts();
CREATE TRIGGER link_attempts_deleted AFTER DELETE ON link_attempts
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_link_attempts();

-- What there is already. The triggers hold the tables until the commit, so that nothing is written in between.
INSERT INTO usage SELECT organization, 'sessions', count(*) FROM sessions GROUP BY organization;
INSERT INTO usage SELECT organization, 'metadata', sum(octet_length(metadata) - 2) FROM sessions
    GROUP BY organization;
INSERT INTO usage SELECT organization, 'api_keys', count(*) FROM api_keys WHERE revoked_at IS NULL
    GROUP BY organization;
INSERT INTO usage SELECT organization, 'idempotency_records', sum(octet_length(answer)) FROM receipts
    GROUP BY organization;

-- How much each organization has of what there may be only so much of, and how many of its attempts at
-- linking are remembered. The database counts by itself, whoever writes: also an older berth, an operator, and
-- whatever is made later. A transaction that writes is the only one, so what it reads here is exact.
CREATE TABLE usage (
    organization text NOT NULL,
    stock text NOT NULL,
    used integer NOT NULL,
    PRIMARY KEY (organization, stock)
) STRICT, WITHOUT ROWID;

-- Attempts at linking, of sessions that may be gone. Of the phone there is a digest alone.
CREATE TABLE link_attempts (
    organization text NOT NULL,
    session text NOT NULL,
    epoch integer NOT NULL,
    phone blob,
    at integer NOT NULL,
    PRIMARY KEY (organization, session, at, epoch)
) STRICT, WITHOUT ROWID;

CREATE INDEX link_attempts_by_organization ON link_attempts (organization, at);
CREATE INDEX link_attempts_by_phone ON link_attempts (organization, phone, at) WHERE phone IS NOT NULL;
-- For the removal of old ones, over all organizations. The condition is always true and says so only to a
-- statement that states it, so that no caller's statement walks other organizations' attempts.
CREATE INDEX link_attempts_by_age ON link_attempts (at) WHERE epoch >= 0;

CREATE TRIGGER sessions_inserted AFTER INSERT ON sessions BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'sessions', 1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'sessions', -1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER sessions_inserted_metadata AFTER INSERT ON sessions
    WHEN new.metadata <> '{}' BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'metadata', octet_length(new.metadata) - 2)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER sessions_deleted_metadata AFTER DELETE ON sessions
    WHEN old.metadata <> '{}' BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'metadata', 2 - octet_length(old.metadata))
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER sessions_updated_metadata AFTER UPDATE OF metadata ON sessions
    WHEN octet_length(old.metadata) <> octet_length(new.metadata) BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'metadata', octet_length(new.metadata) - octet_length(old.metadata))
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER api_keys_inserted AFTER INSERT ON api_keys
    WHEN new.revoked_at IS NULL BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'api_keys', 1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys
    WHEN old.revoked_at IS NULL BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'api_keys', -1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER api_keys_updated AFTER UPDATE OF revoked_at ON api_keys
    WHEN (old.revoked_at IS NULL) <> (new.revoked_at IS NULL) BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'api_keys', CASE WHEN new.revoked_at IS NULL THEN 1 ELSE -1 END)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER receipts_inserted AFTER INSERT ON receipts BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'idempotency_records', octet_length(new.answer))
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER receipts_deleted AFTER DELETE ON receipts BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'idempotency_records', -octet_length(old.answer))
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER receipts_updated AFTER UPDATE OF answer ON receipts
    WHEN octet_length(old.answer) <> octet_length(new.answer) BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'idempotency_records', octet_length(new.answer) - octet_length(old.answer))
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER link_attempts_inserted AFTER INSERT ON link_attempts BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (new.organization, 'link_attempts', 1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

CREATE TRIGGER link_attempts_deleted AFTER DELETE ON link_attempts BEGIN
    INSERT INTO usage (organization, stock, used)
        VALUES (old.organization, 'link_attempts', -1)
        ON CONFLICT (organization, stock) DO UPDATE SET used = used + excluded.used;
END;

-- What there is already.
INSERT INTO usage SELECT organization, 'sessions', count(*) FROM sessions GROUP BY organization;
INSERT INTO usage SELECT organization, 'metadata', sum(octet_length(metadata) - 2) FROM sessions
    GROUP BY organization;
INSERT INTO usage SELECT organization, 'api_keys', count(*) FROM api_keys WHERE revoked_at IS NULL
    GROUP BY organization;
INSERT INTO usage SELECT organization, 'idempotency_records', sum(octet_length(answer)) FROM receipts
    GROUP BY organization;

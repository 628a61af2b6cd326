WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO data_keys (organization, number, seal_key, wrapped, created_at)
SELECT 'org-' || i, 1, 'seal-' || (i % 2), DIGEST, i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO webhooks (id, organization, url, url_origin, events, active, ordered, headers, backoff,
    delay_seconds, attempts, paused, disabled_reason, capabilities, created_by_kind, created_at,
    updated_at, version)
SELECT 'wh_' || i, 'org-' || (i % 10), 'https://example.com/', 'https://example.com', '["*"]',
    i % 7 <> 0, true, '{}', 'linear', 1, 1, i % 11 = 0, CASE WHEN i % 13 = 0 THEN 'gone' END, '[]',
    'system', i / 3, i, 1
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO webhook_cursors (organization, webhook, position, breaker_step, breaker_unreached,
    failures, delivered, failed, dead, gaps, epoch, leased_until, due)
SELECT 'org-' || (i % 10), 'wh_' || i, i, 0, 0, 0, 0, 0, 0, 0, 1,
    CASE WHEN i % 5 = 0 THEN 900 ELSE 0 END, CASE WHEN i % 20 = 0 THEN i END
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO webhook_retries (organization, webhook, pass, ordering_key, event, position, sequence,
    attempts, due, first_failed_at, outcome, settled, skip)
SELECT 'org-' || (i % 10), 'wh_' || (i % 1000), 0, 'sess_' || i, 'evt_' || i, i, 1, 1, i, i,
    'status', false, false
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO webhook_dead_letters (organization, webhook, event, position, attempts,
    first_failed_at, died_at, outcome, replayed_at)
SELECT 'org-' || (i % 10), 'wh_' || (i % 100), 'evt_' || i, i, 15, i, i / 3, 'status',
    CASE WHEN i % 3 = 0 THEN i END
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO webhook_attempts (organization, webhook, id, event, number, replay, at, millis, outcome)
SELECT 'org-' || (i % 10), 'wh_' || (i % 100), 'att_' || i, 'evt_' || i, 1, false, i / 3, 5,
    'success'
FROM n;
INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
SELECT id || '-', organization, NULL, 0, 'api_key.created', created_at, 'system', '[]'
FROM api_keys;

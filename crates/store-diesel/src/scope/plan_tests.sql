WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO sessions (id, organization, auto_read, presence_typing, metadata, is_admin_session,
    desired, epoch, wanted, status, heard, created_at, updated_at, version, sequence, due,
    failures, label, phone_number, gateway)
SELECT 'sess_' || i, 'org-' || (i % 10), false, false, '{}', false, 'stopped', 0, '{}',
    CASE WHEN i % 10 <> 1 THEN 'working' WHEN i % 1000 = 1 THEN 'failed' ELSE 'stopped' END,
    '{}', i / 3, i, 1, 1, CASE WHEN i % 100 = 0 THEN i END, 0,
    CASE WHEN i % 10 <> 1 THEN 'usual' WHEN i % 1000 = 1 THEN 'rare' END,
    CASE WHEN i % 2 = 0 THEN 'phone-' || i END, CASE WHEN i % 3 = 0 THEN 'gw-' || (i % 7) END
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO retirements (session, organization, epoch, requested_by_kind, requested_at, deadline,
    due, attempts, sequence, told)
SELECT 'sess_' || -i, 'org-' || (i % 10), 1, 'system', i, i, i, 0, 1, false FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO events (id, organization, session, sequence, name, at, actor_kind, payload)
SELECT 'evt_' || i, 'org-' || (i % 10), 'sess_' || i, 1, 'session.created', i, 'system', '[]'
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO api_keys (id, organization, name, capabilities, digest, created_by_kind, created_at,
    revoked_at)
SELECT 'key_' || i, 'org-' || (i % 10), 'k', '[]', DIGEST, 'system', i / 3,
    CASE WHEN i % 5 <> 0 THEN i END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO link_attempts (organization, session, epoch, phone, at)
SELECT 'org-' || (i % 10), 'sess_' || (i % 3000), i, CASE WHEN i % 2 = 0 THEN DIGEST END, i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO usage (organization, stock, used) SELECT 'other-' || i, 'sessions', i FROM n;

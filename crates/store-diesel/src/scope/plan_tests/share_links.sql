WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO share_links (organization, session, id, digest, methods, created_by_kind, created_at,
    expires_at, opened_at, browser, attempts, ended_at, outcome, removed_at)
SELECT 'org-' || (i % 10), 'sess_' || (i % 5000), 'lnk_' || i, DIGEST, 'qr code', 'system', i / 3,
    i + 1800, CASE WHEN i % 2 = 0 THEN i END, CASE WHEN i % 2 = 0 THEN DIGEST END, i % 3,
    CASE WHEN i % 4 = 0 THEN i END, CASE WHEN i % 4 = 0 THEN 'used' END, i + 5400
FROM n;

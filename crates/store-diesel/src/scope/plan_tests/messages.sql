INSERT INTO session_messaging (organization, session, version, sequence, last_chat, last_message,
    journal_sequence, queued, outbox_due, removal_due, removed, body_mark, content_mark)
SELECT organization, id, 1, 1, 1, 1, 1, 1, CASE WHEN sequence % 2 = 0 THEN created_at END,
    CASE WHEN created_at % 100 = 0 THEN created_at END, 0, 0, 0
FROM sessions WHERE true
ON CONFLICT (organization, session) DO UPDATE SET outbox_due = CASE WHEN excluded.organization < 'org-5'
    THEN 5 END, removal_due = excluded.removal_due;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO chats (organization, session, id, account, unread, last_at, timer_seconds,
    timer_changed_at, has_inbound, merged_into)
SELECT 'org-' || (i % 10), 'sess_' || (i % 200), i, '15550000001', i % 3, i / 3, 0, 0, true,
    CASE WHEN i % 50 = 0 THEN 1 END
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO chat_names (organization, session, name, account, chat)
SELECT 'org-' || (i % 10), 'sess_' || (i % 200), i || '@s.whatsapp.net', '15550000001', i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO messages (organization, session, id, chat, wa_id, sender, source, kind, flags, hidden,
    level, at, created_at, updated_at, ephemeral_seconds, reference, body)
SELECT 'org-' || (i % 10), 'sess_' || (i % 200), i, i % 1000, 'WA' || i, '', 'contact', 'text', 0,
    i % 20 = 0, CASE WHEN i % 100 = 0 THEN -1 ELSE 2 END, i / 3, i, i, 0,
    CASE WHEN i % 10 = 0 THEN 'ref-' || (i % 7) END, DIGEST
FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO outbox (organization, session, message, id, wa_id, chat, account, state, key_hash,
    accepted_at, due, expires_at, handed_at, attempts, finished_at)
SELECT 'org-' || (i % 10), 'sess_' || (i % 200), i, 'out_' || i, 'WA' || i, i % 1000, '', 'done',
    DIGEST, i, i, i, i, 1, CASE WHEN i % 10 > 0 THEN i END
FROM n;

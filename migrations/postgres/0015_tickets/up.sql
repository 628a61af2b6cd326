-- Tickets that opened a WebSocket, so that each opens one (ADR 0046). A ticket that was never used has no
-- row.
CREATE TABLE spent_tickets (
    digest bytea NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX spent_tickets_by_expiry ON spent_tickets (expires_at);

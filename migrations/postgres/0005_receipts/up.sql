-- Answers that are kept, so that a repeated request is answered and not carried out again. Both digests are
-- 32 bytes; the answer is sealed by whoever made it.
CREATE TABLE receipts (
    organization text COLLATE "C" NOT NULL,
    slot bytea NOT NULL,
    request bytea NOT NULL,
    answer bytea NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (organization, slot)
);

CREATE INDEX receipts_by_expiry ON receipts (expires_at);

-- Answers that are kept, so that a repeated request is answered and not carried out again. Both digests are
-- 32 bytes; the answer is sealed by whoever made it.
CREATE TABLE receipts (
    organization text NOT NULL,
    slot blob NOT NULL,
    request blob NOT NULL,
    answer blob NOT NULL,
    expires_at integer NOT NULL,
    PRIMARY KEY (organization, slot)
) STRICT;

CREATE INDEX receipts_by_expiry ON receipts (expires_at);

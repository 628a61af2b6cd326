-- What is read in the order of a list is read by these alone. The condition is always true and says so only
-- to a list: were the indexes open to all, a look-up by name of a small or empty table could be planned on
-- one of them, which costs the same by PostgreSQL's reckoning, and walk all that the organization ever had
-- until the table is vacuumed.
DROP INDEX sessions_newest_first;
CREATE INDEX sessions_newest_first ON sessions (organization, created_at DESC, id DESC)
    WHERE sequence > -9223372036854775807;
DROP INDEX sessions_by_status;
CREATE INDEX sessions_by_status ON sessions (organization, status, (created_at + 0) DESC, id DESC)
    WHERE sequence > -9223372036854775807;
-- How much there is of an order, which PostgreSQL does not learn from an index with a condition.
CREATE STATISTICS sessions_in_order ON (created_at + 0) FROM sessions;

DROP STATISTICS sessions_in_order;
DROP INDEX sessions_by_status;
CREATE INDEX sessions_by_status ON sessions (organization, status, (created_at + 0) DESC, id DESC);
DROP INDEX sessions_newest_first;
CREATE INDEX sessions_newest_first ON sessions (organization, created_at DESC, id DESC);

-- For operators, who list the sessions of all organizations. The condition is always true and says so only
-- to a statement that states it: were the index open to all, a caller's look-up could be planned on it, walk
-- other organizations' rows and take the longer the more there are.
CREATE INDEX sessions_newest_of_all ON sessions (created_at DESC, id DESC) WHERE epoch >= 0;
-- For the audit trail of one kind of event: rare kinds must not be looked for among all others.
CREATE INDEX events_by_name ON events (organization, name, id);

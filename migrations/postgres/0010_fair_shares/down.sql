DROP TABLE marks;
DROP INDEX events_with_codes;
DROP INDEX api_keys_by_expiry;
DROP INDEX api_keys_by_revocation;
DROP INDEX sessions_without_a_node;
DROP INDEX retirements_due_by_organization;
DROP INDEX sessions_due_by_organization;

DROP INDEX events_without_session;
DROP TABLE webhook_attempts;
DROP TABLE webhook_dead_letters;
DROP TABLE webhook_retries;
DROP TABLE webhook_cursors;
DROP TABLE webhooks;
DROP TABLE data_keys;

DROP INDEX events_without_session;
DROP TABLE webhook_attempts, webhook_dead_letters, webhook_retries, webhook_cursors, webhooks, data_keys;
DROP FUNCTION count_webhooks();

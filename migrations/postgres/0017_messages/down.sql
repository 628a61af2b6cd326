DROP TRIGGER sessions_inserted_messaging ON sessions;
DROP TRIGGER sessions_deleted_messaging ON sessions;
DROP TRIGGER sessions_updated_messaging ON sessions;
DROP FUNCTION begin_session_messaging(), end_session_messaging(), wake_session_messaging();
DROP TABLE outbox, messages, chat_names, chats, session_messaging;
ALTER TABLE sessions DROP COLUMN messages, DROP COLUMN retention_days;

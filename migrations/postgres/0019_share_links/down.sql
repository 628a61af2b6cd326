DROP TRIGGER sessions_deleted_links ON sessions;
DROP TABLE share_links;
DROP FUNCTION delete_share_links(), count_share_links();

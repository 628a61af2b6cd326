DROP TRIGGER sessions_deleted_links;
DROP TABLE share_links;

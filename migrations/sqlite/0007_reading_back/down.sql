DROP INDEX events_by_name;
DROP INDEX sessions_newest_of_all;

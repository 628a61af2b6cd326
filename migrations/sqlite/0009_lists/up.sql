-- Nothing: SQLite plans a look-up by name on the primary key, which it knows to find one row at most, however
-- small the table is. It reads lists by the same indexes as before.
SELECT 1;

ALTER TABLE retirements DROP COLUMN linked;

DROP TABLE orphans;

DROP TABLE retirements;
DROP TABLE sessions;

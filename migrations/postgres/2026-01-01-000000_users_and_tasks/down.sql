DROP TABLE idempotency_keys;
DROP TABLE tasks;
DROP TABLE users;

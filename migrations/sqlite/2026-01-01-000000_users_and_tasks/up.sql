-- Times are stored as text of a fixed width, so that they sort chronologically: 2026-01-02T03:04:05.678901Z

-- The users table may exist already, because Better Auth may use the same table.
CREATE TABLE IF NOT EXISTS users (
    id text NOT NULL PRIMARY KEY,
    email text UNIQUE,
    name text,
    created_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))
);

CREATE TABLE tasks (
    -- With AUTOINCREMENT, the id of a deleted task is never used again.
    id integer PRIMARY KEY AUTOINCREMENT,
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title text NOT NULL,
    description text,
    completed boolean NOT NULL DEFAULT false,
    due_date text,
    created_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    updated_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    version bigint NOT NULL DEFAULT 1,
    title_key blob NOT NULL DEFAULT x'',
    keyed_title text NOT NULL DEFAULT ''
);

CREATE INDEX tasks_by_created ON tasks (user_id, created_at, id);
CREATE INDEX tasks_by_title ON tasks (user_id, title_key, id);
CREATE INDEX tasks_by_due_date ON tasks (user_id, coalesce(due_date, 'infinity'), id);
CREATE INDEX tasks_by_status_created ON tasks (user_id, completed, created_at, id);
CREATE INDEX tasks_by_status_title ON tasks (user_id, completed, title_key, id);
CREATE INDEX tasks_by_status_due_date ON tasks (user_id, completed, coalesce(due_date, 'infinity'), id);
CREATE INDEX tasks_without_title_key ON tasks (user_id)
    WHERE (CASE WHEN keyed_title <> title THEN 1 END) = 1;

CREATE TABLE idempotency_keys (
    user_id text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key text NOT NULL,
    fingerprint blob NOT NULL,
    task_id bigint NOT NULL,
    answer blob NOT NULL,
    created_at text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')),
    PRIMARY KEY (user_id, key)
);

-- This index is used to delete expired keys.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (user_id, created_at);

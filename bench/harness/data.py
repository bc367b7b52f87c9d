"""The tasks and users in the database, and the users' tokens.

Task `i` belongs to user `(i - 1) mod users`. A user's tasks are therefore scattered over the table, as in a real
database, and their ids can be computed from the user's number.
"""

import base64
import hashlib
import hmac
import itertools
import json
import secrets
import shutil
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.machine import report_progress
from harness.postgres import Postgres
from harness.programs import Client, service

# The id of user 0. User ids are numbers, so that pgbench can compute them. They have 19 digits, which makes them about
# as long as Better Auth's ids.
FIRST_USER = 10**18
FRONTEND = "http://localhost:3000"
TITLES = 1_000


@dataclass
class Data:
    """The number of users and tasks, and the secret that signs the users' tokens."""

    users: int
    tasks: int
    secret: str = ""
    tokens: dict = field(default_factory=dict)

    def __post_init__(self):
        self.secret = self.secret or secrets.token_hex(32)

    @property
    def each(self) -> int:
        return self.tasks // self.users

    def task_id(self, user: int, nth: int) -> int:
        return 1 + user + nth * self.users

    def token(self, user: int) -> str:
        """A token with Better Auth's claims. A user always gets the same token, because the service executes an
        additional statement for a newer one."""
        if user not in self.tokens:
            self.tokens[user] = self.signed(user)
        return self.tokens[user]

    def signed(self, user: int) -> str:
        now = int(time.time())
        claims = {
            "sub": str(FIRST_USER + user), "email": f"user{user}@example.com", "name": f"User {user}",
            "iat": now, "exp": now + 86_400, "iss": FRONTEND, "aud": FRONTEND,
        }
        signed = ".".join(map(encoded, ({"alg": "HS256", "typ": "JWT"}, claims)))
        signature = hmac.digest(self.secret.encode(), signed.encode(), hashlib.sha256)
        return f"{signed}.{url_safe(signature)}"


def encoded(value: dict) -> str:
    return url_safe(json.dumps(value, separators=(",", ":")).encode())


def url_safe(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def titles() -> list:
    verbs = "Buy Call Clean Find Fix Pack Paint Return Sell Wash".split()
    things = "apples bikes boxes chairs éclairs keys lamps letters shoes windows".split()
    places = "at home|for Ada|for the garden|from work|in town|next week|on Friday|today|upstairs|with Bob".split("|")
    return [" ".join(words) for words in itertools.product(verbs, things, places)]


def write_titles(binary: Path, url: str, data: Data, folder: Path) -> None:
    """Starts the service, which creates the tables, and creates one task per title through the API.

    The service computes the sort keys. The seeding then copies the titles and sort keys, and deletes the tasks.
    """
    with service(binary, url, data.secret, folder) as program:
        client = Client(program.port)
        token = data.token(0)
        for title in titles():
            client.call("POST", "/api/tasks", token, {"title": title})


def seed_postgres(server: Postgres, database: str, data: Data, binary: Path, folder: Path) -> None:
    report_progress(f"seeding {data.tasks:,} tasks of {data.users:,} users in PostgreSQL")
    server.sql(f"CREATE DATABASE {database}", database="postgres")
    write_titles(binary, server.url(database), data, folder)
    # The indexes are dropped, and created again after the rows are inserted, because this is much faster.
    indexes = server.sql(
        # Each definition is put on one line, because PostgreSQL formats a CASE on several lines.
        r"SELECT indexname || '|' || regexp_replace(indexdef, '\s+', ' ', 'g') "
        "FROM pg_indexes WHERE tablename = 'tasks' AND indexname <> 'tasks_pkey'",
        database,
    )
    names, definitions = zip(*(line.split("|", 1) for line in indexes.splitlines()))
    server.sql(
        f"""
        CREATE TEMP TABLE titles AS SELECT id - 1 AS n, title, title_key, keyed_title FROM tasks;
        BEGIN;
        TRUNCATE tasks, users, idempotency_keys;
        DROP INDEX {", ".join(names)};
        INSERT INTO users (id, email, name)
            SELECT {FIRST_USER} + u, 'user' || u || '@example.com', 'User ' || u
            FROM generate_series(0, {data.users - 1}) AS u;
        -- This skips the checks of the foreign key.
        SET session_replication_role = replica;
        INSERT INTO tasks (id, user_id, title, description, completed, due_date, created_at, updated_at,
                title_key, keyed_title)
            SELECT i, {FIRST_USER} + (i - 1) % {data.users}, title,
                CASE WHEN i % 2 = 0 THEN 'Ask the neighbours first, and take the receipt along.' END,
                nth % 2 = 1,
                CASE WHEN nth % 3 > 0 THEN timestamptz '2026-01-01Z' + (i * 7919 % 365) * interval '1 day' END,
                created_at, created_at, title_key, keyed_title
            FROM generate_series(1::bigint, {data.tasks}) AS i
            CROSS JOIN LATERAL (SELECT (i - 1) / {data.users} AS nth,
                timestamptz '2025-01-01Z' + i * interval '1 second' AS created_at) AS computed
            JOIN titles ON titles.n = (i * 7919 + nth * 123) % {TITLES};
        SET session_replication_role = DEFAULT;
        ALTER TABLE tasks ALTER id RESTART WITH {data.tasks + 1};
        {"; ".join(definitions)};
        COMMIT;
        VACUUM ANALYZE;
        CHECKPOINT;
        """,
        database,
    )


@contextmanager
def sqlite_file(folder: Path, name: str = "sqlite"):
    """A path for a temporary SQLite database, which is removed at the end."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place / "todo.db"
    finally:
        shutil.rmtree(place)


def seed_sqlite(file: Path, data: Data, binary: Path, folder: Path) -> str:
    report_progress(f"seeding {data.tasks:,} tasks of {data.users:,} users in SQLite")
    url = f"sqlite://{file}"
    write_titles(binary, url, data, folder)
    database = sqlite3.connect(file)
    database.executescript(
        f"""
        CREATE TEMP TABLE titles AS SELECT id - 1 AS n, title, title_key, keyed_title FROM tasks;
        CREATE UNIQUE INDEX temp.titles_by_n ON titles (n);
        BEGIN;
        DELETE FROM tasks;
        DELETE FROM users;
        WITH RECURSIVE series (u) AS (SELECT 0 UNION ALL SELECT u + 1 FROM series WHERE u < {data.users - 1})
        INSERT INTO users (id, email, name)
            SELECT {FIRST_USER} + u, 'user' || u || '@example.com', 'User ' || u FROM series;
        WITH RECURSIVE series (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM series WHERE i < {data.tasks}),
        computed AS (SELECT i, (i - 1) / {data.users} AS nth,
            strftime('%Y-%m-%dT%H:%M:%S.000000Z', '2025-01-01', i || ' seconds') AS created_at FROM series)
        INSERT INTO tasks (id, user_id, title, description, completed, due_date, created_at, updated_at,
                title_key, keyed_title)
            SELECT i, {FIRST_USER} + (i - 1) % {data.users}, title,
                CASE WHEN i % 2 = 0 THEN 'Ask the neighbours first, and take the receipt along.' END,
                nth % 2 = 1,
                CASE WHEN nth % 3 > 0 THEN
                    strftime('%Y-%m-%dT%H:%M:%S.000000Z', '2026-01-01', (i * 7919 % 365) || ' days') END,
                created_at, created_at, title_key, keyed_title
            FROM computed CROSS JOIN titles ON titles.n = (i * 7919 + nth * 123) % {TITLES};
        COMMIT;
        PRAGMA wal_checkpoint(TRUNCATE);
        """
    )
    database.close()
    return url

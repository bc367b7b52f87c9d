"""The cost of a page in a database with a thousand times as many tasks, and its query plan."""

import random
import re
import shutil
import statistics
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from harness import machine
from harness.data import Data, seed_postgres
from harness.machine import Failure, say
from harness.postgres import LOADED_ONCE, Postgres
from harness.programs import Client, Program, service

SMALL = Data(users=100, tasks=10_000)
LARGE = Data(users=100_000, tasks=10_000_000)
MOST = 1.3
# Bytes per task, including its indexes and the temporary space for creating them.
BYTES_A_TASK = 1_200

PAGE = 50
SORTS = ["created", "title", "due_date"]
# Only the last one begins within the list: with 100 tasks per user, the others have no second page.
PARTS = [("all", 0), ("pending", 0), ("completed", 0), ("all", 20)]
SAMPLE = 20
REPEATS = 9


@dataclass
class Times:
    """In ms: the first request of each user, and the medians of the following ones."""

    first: list = field(default_factory=list)
    database: list = field(default_factory=list)
    http: list = field(default_factory=list)


class Side:
    """One database size: its database, a service on it, and the results."""

    def __init__(self, name: str, data: Data, server: Postgres):
        self.name = name
        self.data = data
        self.server = server
        self.times = defaultdict(Times)

    def start(self, binary: Path, folder: Path) -> Program:
        # One connection, so that each statement is prepared only once, as in a service that runs for long.
        url = self.server.url(self.name)
        program = service(binary, url, self.data.secret, folder, connections=1, name=f"todo-backend-{self.name}")
        self.client = Client(program.port)
        return program


def at_scale(options, binary: Path, folder: Path) -> None:
    large = Data(options.users or LARGE.users, options.tasks or LARGE.tasks)
    free = shutil.disk_usage(folder).free
    if free < large.tasks * BYTES_A_TASK:
        raise Failure(f"{large.tasks * BYTES_A_TASK / 1e9:.0f} GB are needed in {folder}, and {free / 1e9:.0f} free")
    with Postgres(folder / "postgres", LOADED_ONCE) as server:
        sides = [Side("small", SMALL, server), Side("large", large, server)]
        for side in sides:
            started = time.monotonic()
            seed_postgres(server, side.name, side.data, binary, folder)
            say(f"… in {time.monotonic() - started:.0f} s")
        size = server.sql("SELECT pg_size_pretty(pg_database_size('large'))", "large")
        measure(sides, server, binary, folder)
        plans = folder / "scale-plans.txt"
        write_plans(plans, sides, server, binary, folder)
        report(sides, f"{server.described()}, {size}", plans)


def pages():
    return [(sort, status, after) for sort in SORTS for status, after in PARTS]


def path_of(client: Client, token: str, sort: str, status: str, after: int) -> str:
    path = f"/api/tasks?sort={sort}&status={status}"
    if not after:
        return f"{path}&limit={PAGE}"
    _, headers = client.call("GET", f"{path}&limit={after}", token)
    link = re.search(r"<(.*?)>", headers["Link"])[1]
    return f"{path}&limit={PAGE}&cursor={parse_qs(urlsplit(link).query)['cursor'][0]}"


def measure(sides: list, server: Postgres, binary: Path, folder: Path) -> None:
    with ExitStack() as stack:
        for side in sides:
            stack.enter_context(side.start(binary, folder))
        server.logging("log_min_duration_statement", "0")
        log = stack.enter_context(server.log.open())
        # Each page uses other users, whose tasks have not been read before. The two sizes take turns, so that other
        # load on the machine affects both.
        for page in pages():
            say(f"sort={page[0]} status={page[1]} after {page[2]}")
            samples = [random.sample(range(side.data.users), SAMPLE) for side in sides]
            for users in zip(*samples):
                for side, user in zip(sides, users):
                    measure_page(side, user, page, log)
        server.logging("log_min_duration_statement", "-1")


def measure_page(side: Side, user: int, page: tuple, log) -> None:
    token = side.data.token(user)
    # Makes the user known to the service, so that each later request is a single statement.
    side.client.call("GET", f"/api/tasks?status=all&limit=1&sort={page[0]}", token)
    path = path_of(side.client, token, *page)
    log.read()
    times = side.times[page]
    database, http = [], []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        tasks, _ = side.client.call("GET", path, token)
        http.append((time.perf_counter() - started) * 1000)
        if len(tasks) != PAGE:
            raise Failure(f"{path} has {len(tasks)} tasks")
        # The server logs binding and executing separately.
        took = re.findall(r"duration: ([\d.]+) ms", log.read())
        database.append(sum(map(float, took)))
    times.first.append(database[0])
    times.database.append(statistics.median(database[1:]))
    times.http.append(statistics.median(http[1:]))


def write_plans(file: Path, sides: list, server: Postgres, binary: Path, folder: Path) -> None:
    """Writes the plans of the service's statements, as auto_explain logs them."""
    say("asking for the plans")
    with file.open("w") as out:
        for side in sides:
            for setting, value in {
                "session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0",
                "auto_explain.log_analyze": "on", "auto_explain.log_buffers": "on",
            }.items():
                server.sql(f"ALTER DATABASE {side.name} SET {setting} = '{value}'", "postgres")
            with side.start(binary, folder), server.log.open() as log:
                token = side.data.token(side.data.users // 2)
                for page in pages():
                    path = path_of(side.client, token, *page)
                    # Often enough for the server to choose a generic plan, if it wants one.
                    for _ in range(8):
                        log.read()
                        side.client.call("GET", path, token)
                        plan = re.findall(r"duration: .*(?:\n\t.*)*", log.read())
                    out.write(f"{side.data.tasks:,} tasks: sort={page[0]} status={page[1]} after {page[2]}\n")
                    out.write("\n".join(plan) + "\n\n")


def report(sides: list, database: str, plans: Path) -> None:
    small, large = sides
    print(f"\n{database}\n{machine.described()}\n")
    print(f"A page of {PAGE}, with {small.data.tasks:,} and with {large.data.tasks:,} tasks, a hundred of each user;")
    print(f"medians of {SAMPLE} users, whose page is asked for {REPEATS} times. \"First\" is the call before these.\n")
    print("| sort | status | HTTP | | | in PostgreSQL | | | first | |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    slow = []
    for page in pages():
        sort, status, after = page
        name = f"{status}, after {after}" if after else status
        cells = [sort, name]
        for kind in ("http", "database", "first"):
            before, now = (statistics.median(getattr(side.times[page], kind)) for side in sides)
            cells += [f"{before:.2f} ms", f"{now:.2f} ms"]
            if kind != "first":
                cells.append(f"{now / before:.2f}")
                if now / before > MOST:
                    slow.append(f"{sort}, {name}: {now / before:.2f} times as long ({kind})")
        print(f"| {' | '.join(cells)} |")
    print(f"\nThe plans: {plans}")
    machine.verdict(slow)

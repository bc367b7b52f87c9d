"""Measures pages of lists in a small and in a large database, and writes the query plans."""

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
from harness.machine import Failure, report_progress
from harness.postgres import LOADED_ONCE, Postgres
from harness.programs import Client, Program, service

SMALL = Data(users=100, tasks=10_000)
LARGE = Data(users=100_000, tasks=10_000_000)
# The target: the maximum duration in the large database, as a multiple of the duration in the small one.
MAX_TIME_RATIO = 1.3
# The disk space per task, including its index entries and the temporary space for creating the indexes.
BYTES_PER_TASK = 1_200

PAGE_TASKS = 50
SORTS = ["created", "title", "due_date"]
# The status of each page, and the number of tasks that precede the page. Only the last one does not begin at the start
# of the list. `pending` and `completed` have no such page, because each user has only one page of either.
STATUSES_AND_STARTS = [("all", 0), ("pending", 0), ("completed", 0), ("all", 20)]
# The number of users whose pages are measured, and the number of requests for each after the first.
USERS_PER_PAGE = 20
REQUESTS_PER_USER = 9


@dataclass
class Times:
    """Durations in ms, one per user: the first request in the database, and the medians of the further requests."""

    first: list = field(default_factory=list)
    database: list = field(default_factory=list)
    http: list = field(default_factory=list)


class Side:
    """One of the two sizes: its database, a service that uses it, and the results."""

    def __init__(self, name: str, data: Data, server: Postgres):
        self.name = name
        self.data = data
        self.server = server
        self.times = defaultdict(Times)

    def start(self, binary: Path, folder: Path) -> Program:
        # With two connections, the minimum, the service has one connection for reads. Each statement is then prepared
        # only once, as in a service that has run for a long time.
        url = self.server.url(self.name)
        program = service(binary, url, self.data.secret, folder, connections=2, name=f"todo-backend-{self.name}")
        self.client = Client(program.port)
        return program


def run_scale(options, binary: Path, folder: Path) -> None:
    large = Data(options.users or LARGE.users, options.tasks or LARGE.tasks)
    free = shutil.disk_usage(folder).free
    if free < large.tasks * BYTES_PER_TASK:
        needed = large.tasks * BYTES_PER_TASK
        raise Failure(f"{needed / 1e9:.0f} GB are needed in {folder}, but only {free / 1e9:.0f} GB are free")
    with Postgres(folder / "postgres", LOADED_ONCE) as server:
        sides = [Side("small", SMALL, server), Side("large", large, server)]
        for side in sides:
            started = time.monotonic()
            seed_postgres(server, side.name, side.data, binary, folder)
            report_progress(f"seeded in {time.monotonic() - started:.0f} s")
        size = server.sql("SELECT pg_size_pretty(pg_database_size('large'))", "large")
        measure(sides, server, binary, folder)
        plans = folder / "scale-plans.txt"
        write_plans(plans, sides, server, binary, folder)
        report(sides, f"{server.described()}, {size}", plans)


def pages():
    return [(sort, status, after) for sort in SORTS for status, after in STATUSES_AND_STARTS]


def path_of(client: Client, token: str, sort: str, status: str, after: int) -> str:
    path = f"/api/tasks?sort={sort}&status={status}"
    if not after:
        return f"{path}&limit={PAGE_TASKS}"
    _, headers = client.call("GET", f"{path}&limit={after}", token)
    link = re.search(r"<(.*?)>", headers["Link"])[1]
    return f"{path}&limit={PAGE_TASKS}&cursor={parse_qs(urlsplit(link).query)['cursor'][0]}"


def measure(sides: list, server: Postgres, binary: Path, folder: Path) -> None:
    with ExitStack() as stack:
        for side in sides:
            stack.enter_context(side.start(binary, folder))
        server.logging("log_min_duration_statement", "0")
        log = stack.enter_context(server.log.open())
        # Each page is measured with different users, whose tasks have usually not been read before. The two sizes are
        # measured alternately, so that other load on the machine affects both.
        for page in pages():
            report_progress(f"sort={page[0]} status={page[1]} after {page[2]}")
            samples = [random.sample(range(side.data.users), USERS_PER_PAGE) for side in sides]
            for users in zip(*samples):
                for side, user in zip(sides, users):
                    measure_page(side, user, page, log)
        server.logging("log_min_duration_statement", "-1")


def measure_page(side: Side, user: int, page: tuple, log) -> None:
    token = side.data.token(user)
    # After this request the service knows the user, so that it executes a single statement for each further request.
    side.client.call("GET", f"/api/tasks?status=all&limit=1&sort={page[0]}", token)
    path = path_of(side.client, token, *page)
    log.read()
    times = side.times[page]
    database, http = [], []
    for _ in range(REQUESTS_PER_USER + 1):
        started = time.perf_counter()
        tasks, _ = side.client.call("GET", path, token)
        http.append((time.perf_counter() - started) * 1000)
        if len(tasks) != PAGE_TASKS:
            raise Failure(f"the page {path} has {len(tasks)} tasks, not {PAGE_TASKS}")
        # The server logs the durations of binding and of executing separately.
        took = re.findall(r"duration: ([\d.]+) ms", log.read())
        database.append(sum(map(float, took)))
    times.first.append(database[0])
    times.database.append(statistics.median(database[1:]))
    times.http.append(statistics.median(http[1:]))


def write_plans(file: Path, sides: list, server: Postgres, binary: Path, folder: Path) -> None:
    """Writes the plans of the service's statements, which auto_explain logs."""
    report_progress("writing the query plans")
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
                    # PostgreSQL may choose a generic plan only from the sixth execution on.
                    for _ in range(8):
                        log.read()
                        side.client.call("GET", path, token)
                        plan = re.findall(r"duration: .*(?:\n\t.*)*", log.read())
                    out.write(f"{side.data.tasks:,} tasks: sort={page[0]} status={page[1]} after {page[2]}\n")
                    out.write("\n".join(plan) + "\n\n")


def report(sides: list, database: str, plans: Path) -> None:
    small, large = sides
    print(f"\n{database}\n{machine.described()}\n")
    print(f"A page of {PAGE_TASKS}, with {small.data.tasks:,} and with {large.data.tasks:,} tasks, a hundred of each user;")
    print(f"medians of {USERS_PER_PAGE} users with {REQUESTS_PER_USER} requests each. \"First\" is the request before these.\n")
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
                if now / before > MAX_TIME_RATIO:
                    slow.append(f"{sort}, {name}: {now / before:.2f} times as long ({kind})")
        print(f"| {' | '.join(cells)} |")
    print(f"\nThe plans: {plans}")
    machine.print_verdict(slow)

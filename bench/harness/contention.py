"""Measures how one user's requests affect other users: requests for long lists, and writes that wait for a lock."""

import http.client
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness import machine
from harness.data import FIRST_USER, Data, seed_postgres
from harness.far import near
from harness.load import CLIENTS, WORKS, Wrk
from harness.machine import Failure, report_progress
from harness.postgres import FAST, Postgres
from harness.programs import OTHER, SERVICE, Client, Program, service

GET, LIST, _, TOGGLE = WORKS
LONG_LIST_TASKS = 100_000
CONCURRENT_LISTS = 8
LOCKED_SECONDS = 4
WAITING_WRITES = 16
# The target for the p99 of other users' requests while a row is locked.
MAX_P99_MS = {"reads": 100, "writes": 200}


@contextmanager
def started_programs(options, binary: Path, folder: Path, tasks: int):
    """Starts the service and the other binary, each with a database of its own.

    Each database has one additional user, who has `tasks` tasks.
    """
    data = Data(options.users or 10_000, options.tasks or 200_000)
    binaries = {"todo": (SERVICE, binary), "other": (OTHER, options.against)}
    with ExitStack() as stack:
        server = stack.enter_context(Postgres(folder / "postgres", FAST if options.fast else {}))
        place = stack.enter_context(near(server))
        programs = {}
        for database, (name, path) in binaries.items():
            if path:
                seed_postgres(server, database, data, path, folder)
                add_user(server, database, data, tasks)
                program = service(path, place.url(database), data.secret, folder, name=name)
                programs[database] = stack.enter_context(program)
        yield server, data, programs


def add_user(server: Postgres, database: str, data: Data, tasks: int) -> None:
    user = FIRST_USER + data.users
    columns = "title, description, completed, due_date, created_at, updated_at, title_key, keyed_title"
    server.sql(
        f"""
        INSERT INTO users (id, email, name) VALUES ('{user}', 'one@example.com', 'One More');
        INSERT INTO tasks (user_id, {columns}) SELECT '{user}', {columns} FROM tasks ORDER BY id LIMIT {tasks};
        VACUUM ANALYZE;
        CHECKPOINT;
        """,
        database,
    )


def measure_beside_long_lists(options, binary: Path, folder: Path) -> None:
    """Measures requests for single tasks while the additional user fetches several long lists at a time."""
    with started_programs(options, binary, folder, LONG_LIST_TASKS) as (server, data, programs):
        others = Wrk(data, range(options.active), folder)
        lister = Wrk(data, [data.users], folder, "lister")
        for program in programs.values():
            tasks, _ = Client(program.port).call("GET", "/api/tasks", data.token(data.users))
            if len(tasks) != LONG_LIST_TASKS:
                raise Failure(f"{program.name} lists {len(tasks)} tasks, not {LONG_LIST_TASKS}")
        found = {program.name: {"reads": [], "lists": []} for program in programs.values()}
        for number in range(1, options.rounds + 1):
            for program in programs.values():
                with ThreadPoolExecutor(1) as pool:
                    lists = pool.submit(lister.run, program, LIST, options.seconds + 2, CONCURRENT_LISTS)
                    # The reads start when the first lists are already being fetched.
                    time.sleep(1)
                    reads = others.run(program, GET, options.seconds, CLIENTS)
                    lists = lists.result()
                found[program.name]["reads"].append(reads)
                found[program.name]["lists"].append(lists)
                report_progress(f"long lists, round {number}: {program.name} {described(reads)}; lists: {described(lists)}")
        print(f"\n{server.described()}\n{machine.described()}; medians of {options.rounds} rounds\n")
        print(f"While one user fetches {CONCURRENT_LISTS} lists of {LONG_LIST_TASKS:,} tasks at a time, {CLIENTS} clients read:\n")
        print("| program | reads per second | p99 | failed | lists per second | failed |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, runs in found.items():
            cells = [name, *summary(runs["reads"]), *summary(runs["lists"])[::2]]
            print(f"| {' | '.join(cells)} |")
        print()
        machine.print_verdict(missed_beside_lists({name: runs["reads"] for name, runs in found.items()}))


def missed_beside_lists(reads: dict) -> list:
    """The missed targets: no request may fail, and the p99 may not exceed that of the other binary."""
    missed = failed_requests("reads", reads[SERVICE])
    if OTHER in reads:
        own, other = (statistics.median(run["p99_us"] for run in reads[name]) for name in (SERVICE, OTHER))
        if own > other:
            missed.append(f"p99 is {own / 1000:.1f} ms, and {other / 1000:.1f} ms with {OTHER}")
    return missed


def measure_beside_locked_row(options, binary: Path, folder: Path) -> None:
    """Measures reads and writes while the additional user's writes wait for a row that another session has locked."""
    with started_programs(options, binary, folder, 1) as (server, data, programs):
        others = Wrk(data, range(options.active), folder)
        found = {program.name: {"reads": [], "writes": [], "waiting": []} for program in programs.values()}
        for number in range(1, options.rounds + 1):
            for database, program in programs.items():
                # Before the measurement, these requests open database connections and prepare the statements.
                for work in (GET, TOGGLE):
                    work.call(Client(program.port), data, 1)
                reads, writes, waiting = with_locked_row(server, database, program, data, others)
                for kind, result in (("reads", reads), ("writes", writes), ("waiting", waiting)):
                    found[program.name][kind].append(result)
                report_progress(f"locked row, round {number}: {program.name} reads: {described(reads)}; "
                    f"writes: {described(writes)}; waiting writes: {outcomes(waiting)}")
        print(f"\n{server.described()}\n{machine.described()}; medians of {options.rounds} rounds\n")
        print(f"While {WAITING_WRITES} writes of one user wait for a row that is locked for {LOCKED_SECONDS} s, "
              f"{CLIENTS} clients read and as many write:\n")
        print("| program | reads per second | p99 | failed | writes per second | p99 | failed | waiting writes |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
        for name, runs in found.items():
            waited = outcomes(sum(runs["waiting"], []))
            print(f"| {' | '.join([name, *summary(runs['reads']), *summary(runs['writes']), waited])} |")
        print()
        own = found[SERVICE]
        machine.print_verdict(sum((missed_beside_lock(kind, own[kind], most) for kind, most in MAX_P99_MS.items()), []))


def with_locked_row(server: Postgres, database: str, program: Program, data: Data, others: Wrk) -> tuple:
    """Locks the additional user's row, and returns the results of reads, of writes, and of the waiting writes."""
    task = server.sql(f"SELECT id FROM tasks WHERE user_id = '{FIRST_USER + data.users}'", database)
    lock = f"BEGIN; SELECT id FROM tasks WHERE id = {task} FOR UPDATE; SELECT pg_sleep({LOCKED_SECONDS}); COMMIT;"
    with ThreadPoolExecutor(WAITING_WRITES + 3) as pool:
        locked = pool.submit(server.sql, lock, database)
        wait_for_lock(server)
        waiting = [pool.submit(toggle, program, data, task) for _ in range(WAITING_WRITES)]
        time.sleep(0.3)
        load = [pool.submit(others.run, program, work, LOCKED_SECONDS - 1, CLIENTS) for work in (GET, TOGGLE)]
        reads, writes = (measured.result() for measured in load)
        if locked.done():
            raise Failure("the lock was released before the requests of the other users had ended")
        locked.result()
        return reads, writes, [write.result() for write in waiting]


def wait_for_lock(server: Postgres) -> None:
    for _ in range(100):
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        if server.sql(sleeping, "postgres") != "0":
            return
        time.sleep(0.02)
    raise Failure("the row is not locked")


def toggle(program: Program, data: Data, task: str) -> tuple:
    """Sends a toggle, and returns the status and the duration in seconds."""
    started = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
    authorization = {"Authorization": f"Bearer {data.token(data.users)}"}
    connection.request("PATCH", f"/api/tasks/{task}/complete", headers=authorization)
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - started


def missed_beside_lock(kind: str, runs: list, max_p99_ms: int) -> list:
    missed = failed_requests(kind, runs)
    p99 = statistics.median(run["p99_us"] for run in runs) / 1000
    if p99 >= max_p99_ms:
        missed.append(f"p99 of the other users' {kind} is {p99:.0f} ms, not under {max_p99_ms} ms")
    return missed


def failed_requests(kind: str, runs: list) -> list:
    missed = []
    failed = sum(run["failed"] for run in runs)
    if failed:
        missed.append(f"{failed} {kind} of the other users failed")
    # wrk drops requests that are unanswered at the end, so the p99 does not include them.
    unanswered = sum(not run["requests"] for run in runs)
    if unanswered:
        missed.append(f"none of the other users' {kind} was answered in {unanswered} of {len(runs)} rounds")
    return missed


def described(run: dict) -> str:
    return f"{run['requests'] / run['seconds']:,.1f}/s, p99 {run['p99_us'] / 1000:.1f} ms, {run['failed']} failed"


def summary(runs: list) -> list:
    """The cells of the report: requests per second and p99, both as medians, and the number of failures."""
    rate = statistics.median(run["requests"] / run["seconds"] for run in runs)
    p99 = statistics.median(run["p99_us"] for run in runs)
    return [f"{rate:,.1f}", f"{p99 / 1000:.1f} ms", str(sum(run["failed"] for run in runs))]


def outcomes(waiting: list) -> str:
    statuses = sorted({status for status, _ in waiting})
    parts = []
    for status in statuses:
        times = [took for other, took in waiting if other == status]
        parts.append(f"{len(times)} × {status} after up to {max(times):.1f} s")
    return ", ".join(parts)
